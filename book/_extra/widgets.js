// Loaded before html-manager, on the pages with sliders.
"use strict";

// html-manager calls MathJax by the interface of version 2, and would throw on a page with MathJax 3.
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
