"""The page of the playground. Each visitor has a `_Visit`; what they share is a `Room`, which nobody changes.

It is made with NiceGUI, whose scripts and fonts come from this machine. Import it only to serve the page.
"""

import dataclasses
import functools
import json
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import app, events, ui

from cnnf_tf.data import SEVERITIES
from cnnf_tf.evaluation.figures import picture_address
from cnnf_tf.experiments.playground import charts, images
from cnnf_tf.experiments.playground.images import Example
from cnnf_tf.experiments.playground.measures import (
    ATTACK,
    ATTACK_STEPS,
    CHANGES,
    LARGEST_RADIUS,
    MOST_ITERATIONS,
    NOTHING,
    Change,
    Lab,
    Passes,
)
from cnnf_tf.experiments.playground.work import Newest, Worker

_HERE = pathlib.Path(__file__).parent
_THUMBNAILS = 18
_PEN = {"white": "#fff", "grey": "#888", "black": "#000"}


@dataclasses.dataclass(frozen=True)
class Room:
    """What all visitors share.

    Args:
      lab: the two networks.
      names: what their command line calls them, CNN-F first.
      class_names: of the classes.
      examples: images to choose from; empty where no data set is there.
      missing: why there are none.
    """

    lab: Lab
    names: tuple[str, str]
    class_names: Sequence[str]
    examples: Sequence[Example]
    missing: str = ""


def serve(room: Room, *, host: str, port: int, ready: Callable[[], Any]) -> None:
    """Serves the page until Ctrl-C.

    Args:
      room: what to show.
      host: address to listen at.
      port: to listen at, which must be free.
      ready: called once the page can be had.
    """
    worker = Worker(room.lab.preparations())

    @ui.page("/", title="CNN-F playground")
    def visit() -> None:
        _Visit(room, worker)

    app.on_startup(ready)
    settings: dict[str, Any] = {"show": False, "reload": False, "dark": None, "show_welcome_message": False}
    settings |= {"tailwind": False, "favicon": "\N{CLOCKWISE OPEN CIRCLE ARROW}", "timeout_graceful_shutdown": 1}
    try:
        ui.run(host=host, port=port, **settings)
    except KeyboardInterrupt:
        pass
    finally:
        worker.close()


class _Visit:
    """The page of one visitor, and what they chose."""

    def __init__(self, room: Room, worker: Worker):
        self.room, self.worker = room, worker
        self.example = room.examples[0] if room.examples else images.placeholder(room.lab.image_shape)
        self.change, self.inverted = Change(), False
        self.found: tuple[Example, tuple[Passes, Passes]] | None = None  # the image measured last, and what came
        self.refresh = Newest(self._measure)
        self.first_thumbnail = 0
        self._build()

    # What is measured.

    async def _measure(self) -> None:
        """Measures and shows what is chosen now."""
        start = time.perf_counter()
        self.time.set_text("Measuring …")
        example = self.example
        if self.inverted:
            example = dataclasses.replace(example, image=1 - example.image)
        arguments = example.image, example.label, self.change, self.eta.value
        try:
            self.found = example, await self.worker.run(functools.partial(self.room.lab.watch, *arguments))
        except Exception as error:  # noqa: BLE001 - whatever a network does, the visitor hears of it
            self.say(f"This failed: {error}")
            self.time.set_text("")
            return
        self.show()
        self.time.set_text(f"Measured in {time.perf_counter() - start:.2f} s.")

    def show(self) -> None:
        """Draws what was measured, up to the K chosen now."""
        if self.found is None:
            return
        (image, label), found = (self.found[0].image, self.found[0].label), self.found[1]
        count, names = int(self.iterations.value), self.room.class_names
        sketches = self.room.lab.cnnf.model.encoder is not None
        self.comparison.set_content(charts.comparison(image, found, count, names, label))
        self.table.set_content(charts.table(found[0], count, names, label, sketches))
        drawn = (
            (self.class_chart, charts.class_chart(found, count, names)),
            (self.pass_chart, charts.pass_chart(found, count, names, label)),
            (self.consistency_chart, charts.consistency_chart(found[0], count)),
        )
        for chart, options in drawn:
            chart.options.clear()
            chart.options.update(options)
            chart.update()
        self.consistency.set_visibility(count > 0)

    def say(self, text: str) -> None:
        """Shows a message beside the image; an empty one takes it away."""
        self.message.set_text(text)
        self.message.set_visibility(bool(text))

    # What is chosen.

    async def take(self, read: Callable[[], Example]) -> None:
        """Goes on with another image, or says what is wrong with it."""
        try:
            self.example = await self.worker.run(read)
        except ValueError as error:
            self.say(str(error))
            return
        self.say("")
        self.source.set_text(f"Now: {self.example.name}.")
        await self.refresh()

    async def choose(self, example: Example) -> None:
        self.inversion.set_value(False)
        await self.take(lambda: example)

    async def upload(self, event: events.UploadEventArguments) -> None:
        content, name = await event.file.read(), event.file.name
        self.chooser.reset()
        await self.take(lambda: images.uploaded(content, name, self.room.lab.image_shape))

    async def draw(self, event: events.GenericEventArguments) -> None:
        self.inversion.set_value(False)
        await self.take(lambda: images.drawn(event.args, self.room.lab.image_shape))

    async def invert(self, event: events.ValueChangeEventArguments) -> None:
        self.inverted = event.value
        await self.refresh()

    async def spoil(self) -> None:
        """Takes over the kind of change and its strength."""
        kind = self.kind.value
        self.severity_row.set_visibility(kind not in (NOTHING, ATTACK))
        self.radius_row.set_visibility(kind == ATTACK)
        self.change = Change(kind, int(self.severity.value), float(self.radius.value))
        await self.refresh()

    # How it looks.

    def _build(self) -> None:
        ui.add_css((_HERE / "style.css").read_text(encoding="utf-8"))
        ui.add_head_html(f"<script>{(_HERE / 'draw.js').read_text(encoding='utf-8')}</script>")
        ui.colors(primary=charts.FEEDBACK)
        ui.on("drawn", self.draw)
        with ui.element("main"):
            self._header()
            with ui.element("div").classes("columns"):
                with ui.element("div").classes("controls"):
                    self._image_panel()
                    self._change_panel()
                    self._feedback_panel()
                with ui.element("div").classes("results"):
                    self._results()
        self.refresh_once = ui.timer(0.01, self.refresh, once=True)

    def _header(self) -> None:
        with ui.element("header"):
            _text("h1", "CNN-F playground")
            _text(
                "p",
                "A CNN looks once. A CNN-F renders what it believes it saw, g(0), moves its input h towards that "
                "picture by a step eta, and looks again, K times. Pick an image, spoil it, and see what each makes "
                "of it.",
            )
            _text("p", charts.pair_text(self.room.lab, self.room.names)).classes("soft")
            with ui.element("p").classes("preparing").props('role="status"') as banner:
                text = ui.label()

            def prepare() -> None:
                banner.set_visibility(bool(self.worker.preparing))
                text.set_text(f"Preparing {self.worker.preparing} \N{HORIZONTAL ELLIPSIS}")
                if not self.worker.preparing:
                    timer.deactivate()

            timer = ui.timer(0.3, prepare)

    def _image_panel(self) -> None:
        with _panel("1. An image"):
            with ui.tabs().props("dense no-caps align=left") as tabs:
                examples, draw, upload = (ui.tab(name) for name in ("Examples", "Draw", "Upload"))
            with ui.tab_panels(tabs, value=examples if self.room.examples else draw).props("keep-alive"):
                with ui.tab_panel(examples):
                    if self.room.examples:
                        self.thumbnails = ui.element("div").classes("thumbnails")
                        self._fill_thumbnails()
                        ui.button("Others", on_click=self._turn_page).props("flat dense no-caps")
                    else:
                        _text("p", self.room.missing).classes("soft")
                with ui.tab_panel(draw):
                    height, width, _ = self.room.lab.image_shape
                    size = f'width="{280 * width // height}" height="280"'
                    pens = "".join(
                        f'<button type="button" class="pen" data-pen="{colour}">{name}</button>'
                        for name, colour in _PEN.items()
                    )
                    ui.html(
                        f'<canvas class="drawing" {size} aria-label="Draw here"></canvas><div class="pens">{pens}'
                        '<button type="button" class="pen" data-clear>clear</button></div>',
                        sanitize=False,
                    )
                    _text("p", "Draw light on dark, as the networks know it.").classes("soft")
                with ui.tab_panel(upload):
                    self.chooser = ui.upload(label="A photo or picture", auto_upload=True, on_upload=self.upload)
                    self.chooser.props(f"flat bordered max-file-size={images.LARGEST_FILE}").classes("chooser")
                    most = f"{images.LARGEST_FILE // 10**6} MB"
                    self.chooser.on_rejected(
                        lambda: self.say(f"That file is larger than {most}, or more than one at once.")
                    )
                    height, width, channels = self.room.lab.image_shape
                    what = f"{height} x {width} {'grey' if channels == 1 else 'colour'} pixels"
                    _text("p", f"Its middle is cut out and scaled to {what}. It stays on this machine.").classes("soft")
                    self.inversion = ui.switch("Dark on light becomes light on dark", on_change=self.invert)
            self.source = _text("p", f"Now: {self.example.name}.").classes("soft source")
            self.message = ui.label().classes("message").props('role="alert"')
            self.say("")

    def _fill_thumbnails(self) -> None:
        shown = self.room.examples[self.first_thumbnail : self.first_thumbnail + _THUMBNAILS]
        self.thumbnails.clear()
        with self.thumbnails:
            for example in shown:
                button = ui.element("button").props('type="button"').classes("thumbnail")
                button.props["aria-label"] = button.props["title"] = example.name
                button.on("click", functools.partial(self.choose, example))
                with button:
                    ui.element("img").classes("pixels").props["src"] = picture_address(example.image)

    def _turn_page(self) -> None:
        self.first_thumbnail += _THUMBNAILS
        if self.first_thumbnail >= len(self.room.examples):
            self.first_thumbnail = 0
        self._fill_thumbnails()

    def _change_panel(self) -> None:
        options = {kind: kind.replace("_", " ").replace("gaussian", "Gaussian") for kind in CHANGES}
        options |= {ATTACK: f"attack (PGD, {ATTACK_STEPS} steps)"}
        with _panel("2. Spoil it"):
            self.kind = ui.select(options, value=NOTHING, label="What happens to it", on_change=self.spoil)
            self.kind.props("dense outlined options-dense").classes("kind")
            with ui.element("div") as self.severity_row:
                self.severity = _slider("Severity", SEVERITIES[0], SEVERITIES[-1], 1, self.change.severity, self.spoil)
            with ui.element("div") as self.radius_row:
                self.radius = _slider(
                    "Radius, on the pixel scale [0, 1]", 0, LARGEST_RADIUS, 0.01, self.change.radius, self.spoil
                )
                _text(
                    "p",
                    "Each network is attacked by itself, through all that it computed in training: its own K and eta, "
                    "not those of the sliders.",
                ).classes("soft")
            self.severity_row.set_visibility(False)
            self.radius_row.set_visibility(False)

    def _feedback_panel(self) -> None:
        network = self.room.lab.cnnf
        with _panel("3. Feedback").classes("feedback-panel"):
            first = max(1, min(network.model.iterations, MOST_ITERATIONS))
            self.iterations = _slider("K, feedback passes", 0, MOST_ITERATIONS, 1, first, self.show)
            self.eta = _slider("eta, step of each pass", 0, 1, 0.05, round(network.eta, 3), self.refresh)
            _text("p", "K = 0 is a plain CNN: one look, and no feedback.").classes("soft")

    def _results(self) -> None:
        bars = min(len(self.room.class_names), charts.MOST_CLASSES)
        with _panel("What they see"):
            self.comparison = ui.html(sanitize=False)
            self.time = _text("p", "").classes("soft time")
        with _panel("Pass by pass"):
            text = "Down comes g(0), what the network believes it saw; h moves towards it; then it looks again."
            _text("p", text).classes("soft")
            self.table = ui.html(sanitize=False)
        with _panel("Probabilities"):
            _text("p", "Of every class, after the last pass.").classes("soft")
            self.class_chart = ui.echart({}).style(f"height: {75 + 26 * bars}px")
        with ui.element("div").classes("pair"):
            with _panel("Over the passes"):
                text = "Of the right class, or of the first answer where nobody knows it, and of its rivals."
                _text("p", text).classes("soft")
                self.pass_chart = ui.echart({}).classes("chart")
            with _panel("Self-consistency") as self.consistency:
                text = "How far h is from g(0), and how many rectifiers and pools changed sides. At 0 all agree."
                _text("p", text).classes("soft")
                self.consistency_chart = ui.echart({}).classes("chart")


def _panel(title: str) -> Any:
    panel = ui.element("section").classes("panel")
    with panel:
        _text("h2", title)
    return panel


def _text(tag: str, text: str) -> Any:
    """An element with text, and `set_text`."""
    return ui.label(text) if tag == "div" else _Text(tag, text)


class _Text(ui.element):
    def __init__(self, tag: str, text: str):
        super().__init__(tag)
        with self:
            self.label = ui.label(text)

    def set_text(self, text: str) -> None:
        self.label.set_text(text)


def _slider(title: str, low: float, high: float, step: float, value: float, act: Any) -> Any:
    """A slider with its name and value above it."""
    with ui.element("div").classes("slider-title"):
        ui.label(title)
        shown = ui.label(f"{value:g}")
    slider = ui.slider(min=low, max=high, step=step, value=value, on_change=act)
    slider.props(f"aria-label={json.dumps(title)}")
    shown.bind_text_from(slider, "value", backward=lambda number: f"{number:g}")
    return slider
