// The detections as a table: what the lanes show, for reading and for the keyboard.
"use strict";
(() => {
  const { el, clock, score, plural, framed } = window.tal;
  const PAGE = 100;
  const ORDERS = {
    time: (a, b) => a.start - b.start || b.score - a.score,
    class: (a, b) => a.label - b.label || a.start - b.start,
    score: (a, b) => b.score - a.score || a.start - b.start,
    fit: (a, b) => b.tiou - a.tiou || b.score - a.score,
  };

  /** The card with the table. */
  function list(data, view, player) {
    const judged = data.truth !== null;
    const heads = [["time", "Time"], ["class", "Class"], ["score", "Score"], ...(judged ? [["fit", "tIoU"]] : [])];
    const count = el("span", { class: "muted small" }), rows = el("tbody", {});
    const more = el("button", { type: "button", class: "button quiet", onclick: () => ((limit += 4 * PAGE), fill()) });
    const buttons = heads.map(([key, text]) => el("button", { type: "button", class: "sort", onclick: () => ((order = key), fill()) }, text));
    const cells = buttons.map((button) => el("th", { scope: "col" }, button));
    const table = el("table", {}, el("thead", {}, el("tr", {}, cells)), rows);
    const empty = el("p", { class: "empty muted" });
    const element = el("section", { class: "card found", "aria-label": "Detections" },
      el("div", { class: "head" }, el("h2", {}, "Detections"), count), el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "List of detections" }, table, empty, more));
    let order = "time", limit = PAGE, current = [];

    function line(one) {
      const name = data.labels[one.label];
      const go = () => { view.choose(one); view.look(one.label); player.seek(one.start); };
      const text = `${clock(one.start)} – ${clock(one.end)}`;
      const button = el("button", { type: "button", class: "go number", "aria-label": `${name}, ${text}, score ${score(one.score)}: go there`, onclick: go }, text);
      const share = (one.score - Math.min(0, view.lowest)) / (view.highest - Math.min(0, view.lowest) || 1);
      const bar = el("span", { class: "bar", style: { width: `${Math.max(4, share * 100)}%` } });
      const fit = judged && el("td", { class: "number" }, one.tiou.toFixed(2));
      return el("tr", { "aria-current": one === view.chosen ? "true" : null },
        el("td", {}, button), el("td", { class: "name", title: name }, name), el("td", { class: "score number" }, el("span", { class: "meter" }, bar), score(one.score)), fit);
    }
    function fill() {
      current = view.detections.sort(ORDERS[order]);
      rows.replaceChildren(...current.slice(0, limit).map(line));
      const all = data.detections.length;
      count.textContent = current.length === all ? plural(all, "detection") : `${current.length.toLocaleString("en")} of ${plural(all, "detection")}`;
      cells.forEach((cell, i) => (heads[i][0] === order ? cell.setAttribute("aria-sort", ["time", "class"].includes(order) ? "ascending" : "descending") : cell.removeAttribute("aria-sort")));
      more.hidden = current.length <= limit;
      more.textContent = `Show ${Math.min(4 * PAGE, current.length - limit)} more`;
      table.hidden = !current.length;
      empty.hidden = current.length > 0;
      empty.textContent = all ? "No detection passes the filter." : data.reason ? `Nothing was detected: ${data.reason}.` : "Nothing was detected in this video.";
    }
    function select() {
      [...rows.children].forEach((row, i) => (current[i] === view.chosen ? row.setAttribute("aria-current", "true") : row.removeAttribute("aria-current")));
      const row = rows.querySelector("[aria-current]"), box = rows.closest(".scroll");
      if (!row) return;
      const top = row.offsetTop - box.clientHeight / 2;
      if (row.offsetTop < box.scrollTop + 30 || row.offsetTop > box.scrollTop + box.clientHeight - 30) box.scrollTop = top;
    }
    const refill = framed(fill);
    view.on("filter", refill);
    view.on("select", select);
    fill();
    return { element, end: () => refill.stop() };
  }
  Object.assign(window.tal, { list });
})();
