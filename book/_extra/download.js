// The links of the download menu save what they lead to. The theme would open it.
"use strict";

for (const link of document.querySelectorAll("a.btn-download-source-button")) {
  link.removeAttribute("target");
  link.download = "";
  // From a folder on a disk a browser does not save files, but shows them. It may load scripts, though; and there is
  // one that holds the chapter.
  if (location.protocol !== "file:" || !link.pathname.endsWith(".ipynb")) continue;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const script = document.createElement("script");
    script.src = `${link.href}.js`;
    script.onload = () => {
      const file = document.createElement("a");
      file.href = URL.createObjectURL(new Blob([globalThis.bookDownload], { type: "application/x-ipynb+json" }));
      file.download = link.pathname.split("/").at(-1);
      file.click();
      setTimeout(() => URL.revokeObjectURL(file.href), 10_000);
      script.remove();
    };
    document.head.append(script);
  });
}
