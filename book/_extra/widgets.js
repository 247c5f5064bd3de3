// Loaded before html-manager, on the pages with sliders. It does two things.
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

// 2. The first frame, which the page shows in the place of the sliders (tools/first_frames.py), goes when they have come:
// all of them, and the frame that they choose. Until then book.css hides them, so that nothing is there twice.
new MutationObserver((_, observer) => {
  const waiting = document.querySelectorAll(".ep-first");
  for (const first of waiting) {
    const sliders = first.nextElementSibling;
    const handles = sliders.querySelectorAll(".noUi-handle").length;
    if (handles === first.querySelectorAll(".ep-stand").length && sliders.querySelector(".ep-frame")) first.remove();
  }
  if (!waiting.length) observer.disconnect();
}).observe(document, { subtree: true, childList: true });
