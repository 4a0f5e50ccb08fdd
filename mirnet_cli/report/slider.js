"use strict";
// A slider over two pictures: pointer, touch and, as it is a range input, the arrow keys.
function slide(slider) {
  const cut = slider.querySelector("input");
  const show = () => slider.style.setProperty("--cut", cut.value + "%");
  cut.addEventListener("input", show);
  slider.addEventListener("pointermove", event => {
    if (event.buttons !== 1) return;
    const box = slider.getBoundingClientRect();
    cut.value = 100 * (event.clientX - box.left) / box.width;
    show();
  });
  show();
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
