"""Takes the picture of the playground in its guide, docs/figures/playground.png, in a headless Chromium.

    python tools/playground_picture.py [file.png]

Needs Fashion-MNIST prepared, the extras `playground` and `browser`, and the programs chromium and chromedriver.
"""

import pathlib
import re
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import browser  # noqa: E402

RIGHT = "\ue014"  # the arrow key, as WebDriver writes it
SIZE = 1080, 960


def main() -> None:
    """Repair of noise by the model that was trained for it."""
    if browser.missing():
        sys.exit(f"{browser.missing()} is not there.")
    path = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "docs" / "figures" / "playground.png")
    command = [sys.executable, "bin/playground.py", "--port=0", "--model=pretrained:fashion_mnist_restore"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        page = browser.Browser(re.findall(r"http://\S+", server.stdout.readline())[0], width=SIZE[0], height=SIZE[1])
        try:
            page.wait_for(lambda: not page.find(".preparing").is_displayed(), "all to be prepared")
            page.click(".thumbnail:nth-child(17)")
            page.wait_for_text("image 16", ".source")
            page.wait_for_text("Measured", ".time")
            clean = page.find(".card.feedback img").get_attribute("src")
            page.click(".kind")
            page.click(".q-menu .q-item", "shot noise")
            page.press("K,", RIGHT, 2)
            page.wait_for_text("CNN-F, K = 3", ".cards")
            page.wait_for(lambda: page.find(".card.feedback img").get_attribute("src") != clean, "noise")
            page.wait_for(lambda: not page.driver.find_elements("css selector", ".q-menu"), "the menu to close")
            page.driver.execute_script("document.activeElement.blur()")
            page.driver.save_screenshot(path)
        finally:
            page.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


if __name__ == "__main__":
    main()
