// The search of the book: sections in the order of how well they match, each with the sentence that matches best.
// MiniSearch finds and scores the words; a section where they stand together, as they were asked for, counts more.
"use strict";

(() => {
  const MOST = 30; // hits shown
  const MOST_LETTERS = 260; // of a sentence
  const query = (new URLSearchParams(location.search).get("q") ?? "").trim();
  document.querySelectorAll('input[name="q"]').forEach((field) => (field.value = query));
  const place = document.getElementById("search-results");
  if (!query || !place) return;

  const lower = (text) => text.toLowerCase();
  const phrase = lower(query).split(/\s+/).join(" ");
  const texts = bookSections.map(({ sentences }) => lower(sentences.join(" ")));
  const own = (section) => lower(section.titles.at(-1) ?? "");

  const index = new MiniSearch({
    fields: ["title", "above", "text"],
    extractField: (section, field) =>
      ({
        title: section.titles.at(-1) ?? "",
        above: section.titles.slice(0, -1).join(" "),
        text: section.sentences.join(" "),
      })[field] ?? section[field],
  });
  index.addAll(bookSections);

  const together = (id) => {
    if (own(bookSections[id]).includes(phrase)) return 8;
    return texts[id].includes(phrase) ? 3 : 1;
  };
  const options = {
    boost: { title: 4, above: 1.5 },
    prefix: (term) => term.length > 3,
    fuzzy: (term) => (term.length > 5 ? 0.2 : false),
    boostDocument: (id) => together(id),
  };
  let hits = index.search(query, { ...options, combineWith: "AND" });
  if (!hits.length) hits = index.search(query, options);

  const add = (parent, name, text = "") => {
    const element = document.createElement(name);
    element.textContent = text;
    return parent.appendChild(element);
  };

  // The sentence with the whole phrase, or the one with most of the words; the first, if only a title matches.
  // Whole sentences before what stands in a table.
  const best = (sentences, terms) => {
    const worth = (sentence) => {
      const text = lower(sentence);
      const words = terms.filter((term) => text.includes(term)).length;
      return words + (text.includes(phrase) ? terms.length : 0) + (words && sentence.length > 40 ? 0.5 : 0);
    };
    return sentences.reduce((found, each) => (worth(each) > worth(found) ? each : found), sentences[0] ?? "");
  };

  // A long sentence is cut at words, some way before and after what was found.
  const cut = (sentence, terms) => {
    if (sentence.length <= MOST_LETTERS) return sentence;
    const text = lower(sentence);
    const places = [phrase, ...terms].map((term) => text.indexOf(term)).filter((at) => at >= 0);
    const from = Math.max(0, Math.min((places[0] ?? 0) - MOST_LETTERS / 3, sentence.length - MOST_LETTERS));
    const start = from > 0 ? sentence.indexOf(" ", from) + 1 : 0;
    const end = sentence.lastIndexOf(" ", start + MOST_LETTERS);
    const stop = start + MOST_LETTERS >= sentence.length ? sentence.length : end;
    return (start > 0 ? "… " : "") + sentence.slice(start, stop) + (stop < sentence.length ? " …" : "");
  };

  const marked = (parent, sentence, terms) => {
    const escaped = [phrase, ...terms].map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const found = new RegExp(`(${escaped.sort((a, b) => b.length - a.length).join("|")})`, "giu");
    sentence.split(found).forEach((part, k) => {
      if (k % 2) add(parent, "mark", part);
      else parent.append(part);
    });
  };

  const many = hits.length > MOST ? `${hits.length} sections match; these are the best ${MOST}.` : "";
  const said = many || `${hits.length} section${hits.length === 1 ? " matches" : "s match"}.`;
  const status = add(place, "p", hits.length ? said : "No section has these words. Try fewer, or other ones.");
  status.setAttribute("role", "status");
  const list = add(place, "ol");
  list.className = "ep-hits";
  for (const { id, terms } of hits.slice(0, MOST)) {
    const { page, anchor, titles, sentences } = bookSections[id];
    const item = add(list, "li");
    add(item, "a", titles.at(-1)).href = anchor ? `${page}#${anchor}` : page;
    if (titles.length > 1) add(item, "span", ` ${titles.slice(0, -1).join(" › ")}`).className = "ep-above";
    marked(add(item, "p"), cut(best(sentences, terms), terms), terms);
  }
})();
