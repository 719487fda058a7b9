"""`playground` as a user runs it and, where there is Chromium, as people play with it."""

import os
import re
import signal
import socket
import subprocess

import numpy as np
import tensorflow as tf
from PIL import Image

from tests import browser
from tests.bin import binaries
from tests.bin.binaries import DATA, ROOT, command
from tests.limits import HANGING

LEFT, RIGHT = "\ue012", "\ue014"  # the arrow keys, as WebDriver writes them


class Server:
    """A playground at a free port."""

    def __init__(self, folder, *arguments):
        self.log = folder / "stderr"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTEST")
        }  # see NiceGUI
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command("playground", "--port=0", *arguments),
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.address = re.search(r"http://localhost:\d+|$", self.process.stdout.readline()).group()

    def stop(self):
        """Ctrl-C; the exit code, and all that it printed since the address."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=HANGING)
        return self.process.returncode, output + self.log.read_text()

    def end(self):
        """In any case."""
        self.process.kill()
        self.process.communicate()


class PlaygroundTest(binaries.BinaryTestCase):
    def start(self, *arguments, **size):
        """A server and a browser that shows its page."""
        if browser.missing():
            self.skipTest(f"{browser.missing()} is not there")
        server = Server(self.folder(), *arguments)
        self.addCleanup(server.end)
        self.assertTrue(server.address, server.log.read_text())
        page = browser.Browser(server.address, **size)
        self.addCleanup(page.close)
        page.wait_for_text("Measured in")
        return server, page

    def test_play(self):
        model = self.saved(eta=0.2)
        server, page = self.start(f"--model={model}", f"--dataset={DATA}")
        page.wait_for_text("CNN-F, K = 1", ".cards")
        # Ten moves at once: the last one counts, and soon.
        page.press("K,", RIGHT, 4)
        page.press("eta,", RIGHT, 10)
        page.wait_for(lambda: len(page.driver.find_elements("css selector", ".passes tbody tr")) == 6, "K = 5")
        page.wait_for(lambda: page.text('.slider-title:has(+ [aria-label^="eta"])').endswith("0.7"), "eta = 0.7")
        page.wait_for_text("Measured in", ".time")
        self.assertIn("Pass by pass", page.text())
        # Another visitor has sliders and images of their own.
        page.open_window()
        page.wait_for_text("CNN-F, K = 1", ".cards")
        page.click(".thumbnail:nth-child(3)")
        page.wait_for_text("image 2 of test", ".source")
        page.switch_to(0)
        self.assertIn("image 0 of test", page.text(".source"))
        self.assertIn("CNN-F, K = 5", page.text(".cards"))
        # Corruption and attack.
        for kind, slider in (("shot noise", "Severity"), ("attack", "Radius")):
            before = page.find(".card.feedback img").get_attribute("src")
            page.click(".kind")
            page.click(".q-menu .q-item", kind)
            page.wait_for(lambda before=before: page.find(".card.feedback img").get_attribute("src") != before, kind)
            before = page.find(".card.feedback img").get_attribute("src")
            page.press(slider, RIGHT)
            page.wait_for(lambda before=before: page.find(".card.feedback img").get_attribute("src") != before, slider)
        # A large photo that lies on its side, and a file that is no photo.
        page.click(".q-tab", "Upload")
        photo, notes = self.folder() / "large photo.jpg", self.folder() / "notes.txt"
        array = np.zeros((4000, 6000, 3), np.uint8)
        array[:, :3000] = 255
        exif = Image.Exif()
        exif[0x112] = 6
        Image.fromarray(array).save(photo, exif=exif)
        notes.write_text("no picture")
        page.upload(photo)
        page.wait_for_text("Now: large photo.jpg.", ".source")
        page.wait_for_text("class unknown", ".cards")
        self.assertFalse(page.find(".message").is_displayed())
        page.upload(notes)
        page.wait_for_text("notes.txt: is not a readable image (it is no PNG, JPEG", ".message")
        self.assertIn("large photo", page.text(".source"))
        page.click(".q-tab", "Draw")
        page.stroke("canvas.drawing")
        page.wait_for_text("Now: your drawing.", ".source")
        self.assertFalse(page.find(".message").is_displayed())
        # Nothing came from elsewhere, nothing went wrong, and nothing hangs.
        elsewhere = [
            url for url in page.requests() if not url.startswith((server.address, "data:", "blob:", "chrome:"))
        ]
        self.assertEqual(elsewhere, [])
        self.assertEqual(page.complaints(), [])
        code, output = server.stop()
        self.assertEqual((code, output), (0, "Stopped.\n"))

    def test_phone_without_data(self):
        """Sketches, own step sizes, and no example: all fits on a phone."""
        model = self.saved(with_encoder=True, eta={"h": 0.5, "*": 0.1})
        arguments = f"--model={model}", f"--cnn={model}", f"--data_dir={self.folder()}"
        _, page = self.start(*arguments, width=375, height=812)
        self.assertIn("sketches", page.text("header"))
        self.assertIn("steps of their own", page.text())
        page.press("K,", RIGHT, 2)
        page.wait_for_text("CNN-F, K = 3", ".cards")
        page.wait_for_text("Now: a drawn T-shirt.", ".source")
        self.assertLessEqual(page.overflow(), 0)
        page.click(".q-tab", "Examples")
        page.wait_for_text("No examples: fashion_mnist is not prepared in")
        self.assertLessEqual(page.overflow(), 0)

    def test_refusals(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assert_refuses(
                "playground",
                ((f"--port={port}",), 2, f"--port={port} of --host=127.0.0.1 is in use; give another, or --port=0"),
                (("--port=70000",), 2, "port"),
                (("--host=no.such.host.example",), 2, "--host wants an address of this machine .* got 'no.such"),
                (("--host=192.0.2.1", "--port=0"), 2, "of --host=192.0.2.1 cannot be had"),
                (("--model=none.keras", "--port=0"), 1, "'none.keras' does not exist"),
                (("--dataset=mnist", f"--data_dir={self.folder()}", "--port=0"), 1, "mnist is not prepared"),
            )


if __name__ == "__main__":
    tf.test.main()
