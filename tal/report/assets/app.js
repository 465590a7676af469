// Which page is shown: "#/" all videos, "#/video/NAME" one.
"use strict";
(() => {
  const { el, index, clock, score, plural } = window.tal;
  const main = document.getElementById("main"), crumbs = document.getElementById("crumbs");
  const single = index.videos.length === 1 && window.tal.overview === null;
  let leave = null;

  /** A plain list, where nothing better was made. */
  function plain(element) {
    const rows = index.videos.map((one) => el("tr", {}, el("td", {}, el("a", { href: one.href }, one.name)), el("td", { class: "number" }, clock(one.duration_s)), el("td", { class: "number" }, one.n_detections), el("td", { class: "number" }, score(one.best))));
    const head = ["Video", "Length", "Detections", "Best score"].map((text) => el("th", { scope: "col" }, text));
    element.append(el("h1", {}, index.title), el("p", { class: "muted" }, plural(index.videos.length, "video")), el("table", { class: "card plain" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)));
  }

  /** Links to the overview and the neighbours. */
  function way(i) {
    if (i === null || single) { crumbs.replaceChildren(); return; }
    const link = (k, text, name) => { const one = index.videos[k]; return el("a", { class: "button quiet", href: one ? one.href : null, "aria-disabled": one ? null : "true", "aria-label": name, title: one ? one.name : null }, text); };
    crumbs.replaceChildren(el("a", { class: "button quiet", href: "#/" }, "All videos"), link(i - 1, "‹", "Previous video"), el("span", { class: "muted small number" }, `${i + 1} / ${index.videos.length}`), link(i + 1, "›", "Next video"));
  }

  function wanted() {
    const hash = location.hash;
    if (!hash.startsWith("#/video/")) return single ? 0 : null;
    const exact = index.videos.findIndex((one) => one.href === hash);
    if (exact >= 0) return exact;
    try {
      const name = decodeURIComponent(hash.slice(8));
      return index.videos.findIndex((one) => one.name === name);
    } catch {
      return -1;
    }
  }

  function show() {
    if (leave) leave();
    leave = null;
    main.replaceChildren();
    const i = wanted();
    way(i < 0 ? null : i);
    document.title = i === null || i < 0 ? index.title : `${index.videos[i].name} · ${index.title}`;
    if (i === null) {
      const element = el("div", { class: "overview" });
      main.append(element);
      leave = (window.talOverview ? window.talOverview(element, index, window.tal.overview) : plain(element)) || null;
    } else if (i < 0) main.append(el("h1", {}, "No such video"), el("p", {}, el("a", { href: "#/" }, "All videos")));
    else leave = window.tal.page(main, i);
    scrollTo(0, 0);
  }
  addEventListener("hashchange", show);
  show();
  requestAnimationFrame(() => setTimeout(() => performance.mark("tal-interactive")));
})();
