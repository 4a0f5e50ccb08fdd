"use strict";
// A slider over two pictures: pointer, touch and, as it is a range input, the arrow keys.
function slide(slider) {
  const cut = slider.querySelector("input");
  const show = () => slider.style.setProperty("--cut", cut.value + "%");
  cut.addEventListener("input", show);
  slider.addEventListener("pointermove", event => {
    if (event.buttons !== 1 || slider.dataset.held) return;
    const box = slider.getBoundingClientRect();
    cut.value = 100 * (event.clientX - box.left) / box.width;
    show();
  });
  show();
}
// Zoom and pan for a slider, both pictures in step. At 100 % a pixel of the picture is one of the screen.
function zoom(slider, tools) {
  const cut = slider.querySelector("input"), bar = slider.querySelector(".bar"), told = tools.querySelector("output");
  const width = Number(slider.querySelector("img").getAttribute("width")), fingers = new Map();
  let scale = 1, x = 0, y = 0;
  const full = () => width / slider.clientWidth / devicePixelRatio;
  const within = (value, low, high) => Math.min(Math.max(value, low), high);
  // What is seen at one point of the slider goes to another; both in its pixels.
  function set(next, from, to = from) {
    const box = slider.getBoundingClientRect(), ratio = devicePixelRatio;
    const whole = (value, start) => Math.round((start + value) * ratio) / ratio - start;
    next = within(next, 1, Math.max(8 * full(), 1));
    x = whole(within(to[0] - (from[0] - x) * next / scale, box.width * (1 - next), 0), box.left);
    y = whole(within(to[1] - (from[1] - y) * next / scale, box.height * (1 - next), 0), box.top);
    scale = next;
    if (scale === 1) x = y = 0;
    for (const [name, value] of [["--x", x + "px"], ["--y", y + "px"], ["--s", scale]]) slider.style.setProperty(name, value);
    slider.classList.toggle("zoomed", scale > 1);
    slider.classList.toggle("pixels", scale > 1.5 * full());
    told.value = Math.round(100 * scale / full()) + " %";
    tools.querySelectorAll("button").forEach(button => {
      const level = Number(button.dataset.zoom);
      button.setAttribute("aria-pressed", level ? Math.abs(scale / full() - level) < .005 : scale === 1);
    });
    hold();
  }
  const hold = () => { if (scale > 1 || fingers.size > 1) slider.dataset.held = "yes"; else delete slider.dataset.held; };
  const middle = () => [slider.clientWidth / 2, slider.clientHeight / 2];
  const place = event => {
    const box = slider.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const go = (level, at = middle()) => set(level ? level * full() : 1, at);
  tools.querySelectorAll("button").forEach(button => button.addEventListener("click", () => go(Number(button.dataset.zoom))));
  slider.addEventListener("dblclick", event => go(scale > 1 ? 0 : 1, place(event)));
  slider.addEventListener("wheel", event => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    set(scale * Math.exp(-within(event.deltaY, -50, 50) / 100), place(event));
  }, { passive: false });
  slider.addEventListener("pointerdown", event => {
    fingers.set(event.pointerId, { at: place(event), bar: event.target === bar });
    if (scale > 1) slider.setPointerCapture(event.pointerId);
    hold();
  });
  slider.addEventListener("pointermove", event => {
    const finger = fingers.get(event.pointerId), now = place(event);
    if (!finger) return;
    if (fingers.size === 1 && scale > 1) {
      if (finger.bar) {
        cut.value = 100 * now[0] / slider.clientWidth;
        cut.dispatchEvent(new Event("input"));
      } else set(scale, finger.at, now);
    } else if (fingers.size === 2) {
      const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, each]) => each.at);
      const far = point => Math.max(Math.hypot(point[0] - other[0], point[1] - other[1]), 1);
      const half = point => [(point[0] + other[0]) / 2, (point[1] + other[1]) / 2];
      set(scale * far(now) / far(finger.at), half(finger.at), half(now));
    }
    finger.at = now;
  });
  for (const kind of ["pointerup", "pointercancel"])
    slider.addEventListener(kind, event => { fingers.delete(event.pointerId); hold(); });
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT" && event.target !== cut) return;
    const level = { 0: 0, 1: 1, 2: 2 }[event.key], times = { "+": 1.25, "=": 1.25, "-": .8 }[event.key];
    const [across, down] = middle();
    const by = { ArrowLeft: [across / 4, 0], ArrowRight: [-across / 4, 0], ArrowUp: [0, down / 4], ArrowDown: [0, -down / 4] }[event.key];
    if (level !== undefined) go(level);
    else if (times) set(scale * times, middle());
    else if (by && scale > 1 && event.target === cut && !event.shiftKey) set(scale, [0, 0], by);
    else return;
    event.preventDefault();
  });
  addEventListener("resize", () => set(scale, [0, 0]));
  set(1, [0, 0]);
}
// How many times a difference is amplified, as a power of two.
function amplify(gain, times) {
  const show = () => {
    times.value = 2 ** gain.value;
    document.body.style.setProperty("--gain", times.value);
  };
  gain.addEventListener("input", show);
  return step => { gain.value = step; show(); };
}
