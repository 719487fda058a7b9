"""A headless Chromium that plays with a page: Debian's packages chromium and chromium-driver, by Selenium.

For the playground: its test, and the picture of its guide (tools/playground_picture.py).
"""

import importlib.util
import json
import pathlib
import shutil
import time
from collections.abc import Callable
from typing import Any

_PROGRAMS = ("chromium", "chromedriver")
_SECONDS = 60  # for what takes one, on a busy machine


def missing() -> str:
    """What is not there of all that is needed; empty if nothing is."""
    extras = {"nicegui": "playground", "selenium": "browser"}
    lacking = [f"the extra `{extra}`" for package, extra in extras.items() if not importlib.util.find_spec(package)]
    lacking += [f"the program {program}" for program in _PROGRAMS if not shutil.which(program)]
    return " and ".join(lacking)


class Browser:
    """A browser with a window for each visitor; only this machine can be reached from it.

    Args:
      address: of the page.
      width: of a window in CSS pixels; below 500 it passes for a phone.
      height: likewise.
    """

    def __init__(self, address: str, *, width: int = 1200, height: int = 900):
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which(_PROGRAMS[0])
        switches = ["headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars", "disable-gpu"]
        switches += ["host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost", f"window-size={width},{height}"]
        for switch in switches:
            options.add_argument(f"--{switch}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(shutil.which(_PROGRAMS[1]))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.address = address
        self.resize(width, height)
        self.driver.get(address)

    def close(self) -> None:
        """Ends it, with all windows."""
        self.driver.quit()

    def resize(self, width: int, height: int, density: float = 1) -> None:
        """Makes this window another size."""
        size = {"width": width, "height": height, "deviceScaleFactor": density, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def open_window(self) -> None:
        """Another visitor, who takes over."""
        self.driver.switch_to.new_window("window")
        self.driver.get(self.address)

    def switch_to(self, number: int) -> None:
        """The visitor of this number, from 0, takes over."""
        self.driver.switch_to.window(self.driver.window_handles[number])

    def find(self, selector: str) -> Any:
        """The first element that is there, by CSS selector."""
        return self.wait_for(lambda: next(iter(self.driver.find_elements("css selector", selector)), None), selector)

    def text(self, selector: str = "main") -> str:
        """What can be read there."""
        return " ".join(element.text for element in self.driver.find_elements("css selector", selector))

    def click(self, selector: str, text: str = "") -> None:
        """Clicks on the first element with this text that is shown."""

        def shown() -> Any:
            for element in self.driver.find_elements("css selector", selector):
                if text in element.text and element.is_displayed():
                    script = (
                        "arguments[0].scrollIntoView({block: 'center'}); return arguments[0].getBoundingClientRect().y"
                    )
                    places = []
                    for _ in range(2):
                        places.append(self.driver.execute_script(script, element))
                        time.sleep(0.1)
                    return element if places[0] == places[1] else None
            return None

        self.wait_for(shown, f"{selector} {text}").click()

    def press(self, slider: str, key: str, times: int = 1) -> None:
        """Presses a key so often on the slider whose name starts so, as fast as can be."""
        element = self.find(f'[aria-label^="{slider}"] .q-slider__track-container')
        for _ in range(times):
            element.send_keys(key)

    def upload(self, path: pathlib.Path) -> None:
        """Gives a file to the uploader."""
        self.find("input[type=file]").send_keys(str(path))

    def stroke(self, selector: str) -> None:
        """Draws a line across an element."""
        from selenium.webdriver import ActionChains

        def box() -> Any:
            return self.find(selector).rect

        self.wait_for(lambda: box()["width"] > 130 and box() == box(), f"{selector} to stand still")
        canvas = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
        chain = ActionChains(self.driver).move_to_element_with_offset(canvas, -60, -60).click_and_hold()
        chain.move_by_offset(60, 60).move_by_offset(60, 60).release().perform()

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """The first value of a condition that counts as true."""
        from selenium.common.exceptions import StaleElementReferenceException

        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            try:
                if value := condition():
                    return value
            except StaleElementReferenceException:
                pass
            time.sleep(0.05)
        raise TimeoutError(f"waited {_SECONDS} s for {what}; there is: {self.driver.title}, {self.text()[-400:]!r}")

    def wait_for_text(self, text: str, selector: str = "main") -> None:
        """Until this can be read there."""
        self.wait_for(lambda: text in self.text(selector), f"{text!r} in {selector}")

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return self.driver.execute_script("return document.documentElement.scrollWidth - innerWidth")

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [message for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [message["params"]["request"]["url"] for message in sent]

    def complaints(self) -> list[str]:
        """What the browser found wrong since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
