// The canvas of the playground: pointers draw on it, and each stroke that ends is sent to the server as a PNG.
(() => {
  let pen = "#fff";
  let last = null;
  const canvas = () => document.querySelector("canvas.drawing");
  const send = () => emitEvent("drawn", canvas().toDataURL("image/png"));
  const clear = () => {
    const context = canvas().getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas().width, canvas().height);
  };
  const place = (event) => {
    const box = canvas().getBoundingClientRect();
    return [
      ((event.clientX - box.left) * canvas().width) / box.width,
      ((event.clientY - box.top) * canvas().height) / box.height,
    ];
  };
  const line = (from, to) => {
    const context = canvas().getContext("2d");
    context.strokeStyle = pen;
    context.lineWidth = canvas().height / 9;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  };
  document.addEventListener("pointerdown", (event) => {
    if (event.target !== canvas()) return;
    if (!canvas().dataset.used) clear(); // black, not transparent
    canvas().dataset.used = "yes";
    canvas().setPointerCapture(event.pointerId);
    last = place(event);
    line(last, last);
  });
  document.addEventListener("pointermove", (event) => {
    if (!last) return;
    const next = place(event);
    line(last, next);
    last = next;
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    document.addEventListener(kind, () => {
      if (last) send();
      last = null;
    });
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".pen");
    if (!button) return;
    if ("clear" in button.dataset) {
      clear();
      return;
    }
    pen = button.dataset.pen;
    for (const other of document.querySelectorAll(".pen")) other.classList.toggle("chosen", other === button);
  });
})();
