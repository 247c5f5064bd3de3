// Loaded before html-manager, on the pages with sliders. It mends two things.
"use strict";

// 1. html-manager calls MathJax by the interface of version 2, and would throw on a page with MathJax 3.
addEventListener("load", () => {
  const mathjax = window.MathJax;
  if (!mathjax || mathjax.Hub) return;
  mathjax.Hub = {
    Queue: (...calls) => {
      for (const [command, , element] of calls.filter(Array.isArray)) {
        if (command === "Typeset") mathjax.startup.promise.then(() => mathjax.typesetPromise([element]));
      }
    },
  };
});

// 2. The handle of a slider has no name, and tells a screen reader its index and not its value.
const describe = (slider) => {
  const handle = slider.querySelector(".noUi-handle");
  const label = slider.querySelector(".widget-label");
  const readout = slider.querySelector(".widget-readout");
  if (!handle || !label || !readout) return;
  readout.removeAttribute("contenteditable"); // nothing can be typed there: it shows the value
  const wanted = { "aria-label": label.textContent, "aria-valuetext": readout.textContent };
  for (const [name, value] of Object.entries(wanted)) {
    if (handle.getAttribute(name) !== value) handle.setAttribute(name, value);
  }
};

addEventListener("DOMContentLoaded", () => {
  new MutationObserver(() => {
    document.querySelectorAll(".ep-sliders .widget-slider").forEach(describe);
    // What the frame shows is read out when it changes.
    document.querySelectorAll(".ep-frames:not([aria-live])").forEach((frames) => {
      frames.setAttribute("aria-live", "polite");
    });
  }).observe(document.body, {
    subtree: true,
    childList: true,
    characterData: true,
    attributes: true,
    attributeFilter: ["aria-valuetext"],
  });
});
