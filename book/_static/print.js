// While a page is printed, what is folded is open, and a dark page is light. Afterwards all is as it was before. A list
// of all positions of a slider stays as it is: what is printed is the position that the reader has chosen.
"use strict";

{
  const root = document.documentElement;
  const paper = matchMedia("print");
  const opened = [];
  let theme = null;

  const prepare = () => {
    if (theme !== null) return;
    theme = root.dataset.theme ?? "";
    root.dataset.theme = "light";
    for (const details of document.querySelectorAll(".bd-content details:not([open]):not(.ep-all)")) {
      details.open = true;
      opened.push(() => (details.open = false));
    }
    for (const folded of document.querySelectorAll(".bd-content .toggle-hidden")) {
      folded.classList.remove("toggle-hidden");
      opened.push(() => folded.classList.add("toggle-hidden"));
    }
  };
  const restore = () => {
    if (theme === null) return;
    root.dataset.theme = theme;
    theme = null;
    opened.splice(0).forEach((close) => close());
  };
  // Both: a browser's preview of the paper changes the medium, and not every one says before that it will print.
  addEventListener("beforeprint", prepare);
  addEventListener("afterprint", restore);
  paper.addEventListener("change", () => (paper.matches ? prepare() : restore()));
}
