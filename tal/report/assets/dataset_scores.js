/* Scores: mAP by tIoU, the classes, and precision over recall; a class that is picked is drawn out in the curves. */
"use strict";
(() => {
  const own = (window.talDataset = window.talDataset || {});
  const { el } = window.tal;
  const bound = (low, high) => () => [low, high];

  /** mAP and recall as a table and as curves. */
  own.scoresCard = (found) => {
    const n = found.tiou.length;
    const body = [["mAP, %", found.mAP], ["recall, %", found.recall]].map(([name, values]) => [
      name,
      ...values.map((value, i) => (i === found.shown || i >= n ? el("strong", {}, own.percent(value)) : own.percent(value))),
    ]);
    const table = own.table(`Scores by tIoU, ${found.name}`, ["tIoU", ...found.columns], body, "ds-scores");
    const card = own.card("scores", "Scores by tIoU", `${found.name}; means over the classes, in %`, table);
    if (n < 2) return { card, leave: () => {} };
    const order = found.tiou.map((t, i) => [t, i]).sort((a, b) => a[0] - b[0]);
    const series = (name, key, colour, dash) => ({
      name, colour, dash, points: true, values: order.map(([, i]) => 100 * found[key][i]),
    });
    const tell = (i) => {
      const k = i === null ? found.shown : order[i][1];
      return `tIoU ${found.tiou[k]}: mAP ${own.percent(found.mAP[k])} %, recall ${own.percent(found.recall[k])} %`;
    };
    const lines = own.lines(() => ({
      label: `mAP and recall over tIoU; ${tell(null)}`,
      x: order.map(([t]) => t),
      series: [series("mAP", "mAP", "--accent"), series("recall", "recall", "--muted", [6, 4])],
      xLabel: "tIoU", yLabel: "percent", xSplits: n <= 12 ? order.map(([t]) => t) : null, yRange: bound(0, 100), height: 240, tell,
    }));
    const legend = own.legend([["mAP", "var(--accent)", "line"], ["recall", "var(--muted)", "dashed"]]);
    card.append(legend, lines.node);
    return { card, leave: lines.destroy };
  };

  const columnsOf = (overview, state, pick) => {
    const rows = overview.classes;
    const known = rows.some((row) => row.n_instances !== null);
    const at = (row) => (row.ap ? row.ap[state.shown] : null);
    const most = Math.max(1, ...rows.map((row) => (known ? row.n_instances : row.n_detections)));
    const name = (row) => (overview.curves ? pick(row) : row.label);
    const mini = (n, colour) => own.bar(n / most, own.count(n), colour);
    const ap = [
      { key: "ap", title: "AP, %", hint: "Average precision at the chosen tIoU", value: at,
        cell: (row) => (row.ap ? own.bar(at(row), own.percent(at(row))) : "–") },
      { key: "average", title: "Mean AP", hint: "Mean AP over all thresholds", minor: true,
        value: (row) => row.average, cell: (row) => own.percent(row.average) },
    ];
    const truth = { key: "n_instances", title: "Instances", value: (row) => row.n_instances,
      cell: (row) => mini(row.n_instances, "var(--truth)") };
    const found = { key: "n_detections", title: "Detections", minor: known, value: (row) => row.n_detections,
      cell: (row) => (known ? own.count(row.n_detections) : mini(row.n_detections, "var(--detection)")) };
    const plain = [
      { key: "n_detected_in", title: "Videos", value: (row) => row.n_detected_in },
      { key: "best", title: "Best score", value: (row) => row.best, cell: (row) => own.short(row.best) },
      { key: "median_length_s", title: "Median length", minor: true, value: (row) => row.median_length_s,
        cell: (row) => own.span(row.median_length_s) },
    ];
    const label = { key: "label", title: "Class", text: true, value: (row) => row.label, cell: name };
    return [label, ...(overview.evaluation ? ap : []), ...(known ? [truth] : []), found, ...(known ? [] : plain)];
  };

  /** The curves of all classes, faint, the mean of them, and the picked class. */
  const curvesOf = (overview, state) => () => {
    const { curves, evaluation } = overview;
    const n = curves.n_bins;
    const drawn = (whole) => Array.from({ length: n + 1 }, (_, i) => {
      const value = whole[Math.min(i, n - 1)];
      return value === undefined ? (i === whole.length ? 0 : null) : value / 10;
    });
    const classes = curves.classes[state.shown] || {};
    const picked = Object.hasOwn(classes, state.picked) ? classes[state.picked] : null;
    const others = Object.entries(classes).map(([name, whole]) => ({
      name, values: drawn(whole), colour: "--muted", width: 1, alpha: picked ? 0.18 : 0.35,
    }));
    const mean = drawn(curves.mean[state.shown]);
    const lines = [...others, { name: "mean", values: mean, colour: "--text", width: 2.5 }];
    if (picked) lines.push({ name: state.picked, values: drawn(picked), colour: "--accent", width: 3 });
    const at = (whole, i) => own.percent((whole[i] || 0) / 1000);
    const tell = (i) => {
      const k = i === null ? null : Math.min(i, n - 1);
      const where = k === null ? `tIoU ${evaluation.tiou[state.shown]}` : `recall ${Math.round((100 * k) / n)} %`;
      const figure = (name, whole, area) => `${name} ${k === null ? own.percent(area) : at(whole, k)} %`;
      const row = picked && overview.classes.find((one) => one.label === state.picked);
      const said = [figure(k === null ? "mAP" : "mean precision", curves.mean[state.shown], evaluation.mAP[state.shown])];
      if (picked) said.push(figure(state.picked, picked, row.ap[state.shown]));
      return `${where}: ${said.join(", ")}`;
    };
    return {
      label: `Precision over recall; ${tell(null)}`,
      x: Array.from({ length: n + 1 }, (_, i) => (100 * i) / n),
      series: lines, xLabel: "recall, %", yLabel: "precision, %", xRange: bound(0, 100), yRange: bound(0, 102),
      height: 420, tell,
    };
  };

  /** Precision at each tenth of recall: the mean, and the picked class. */
  const tableOf = (overview, state) => {
    const { curves } = overview;
    const rows = () => Array.from({ length: 10 }, (_, i) => {
      const k = Math.floor((i * curves.n_bins) / 10);
      const picked = (curves.classes[state.shown] || {})[state.picked];
      const at = (whole) => own.percent((whole[k] || 0) / 1000);
      return [`${10 * i}`, at(curves.mean[state.shown]), picked ? at(picked) : "–"];
    });
    return own.behind("Precision over recall", ["recall, %", "mean precision, %", "picked class, %"], rows);
  };

  const about = (overview) => {
    const n = own.counted(overview.classes.length, "class");
    if (!overview.evaluation) return `${n}; there is nothing to compare them with`;
    return overview.curves ? `${n}; AP and precision at the chosen tIoU. Pick a class to see its curve` : `${n}; AP at the chosen tIoU`;
  };

  /** Classes beside their curves; `state` keeps threshold, picked class and sorting. */
  own.classesCard = (overview, state) => {
    const card = own.card("classes", "Classes", about(overview));
    const name = (row) => {
      const pressed = state.picked === row.label;
      const button = el("button", { type: "button", class: "ds-pick", "aria-pressed": String(pressed) }, row.label);
      button.addEventListener("click", () => pick(pressed ? "" : row.label));
      return button;
    };
    const columns = columnsOf(overview, state, name);
    const caption = "Classes";
    const table = own.sortable({ caption, columns, rows: overview.classes, state: state.table, size: 20, noun: "class" });
    const lines = overview.curves ? own.lines(curvesOf(overview, state)) : null;
    function pick(label) {
      state.picked = label;
      table.draw();
      lines?.redraw();
      const again = [...card.querySelectorAll(".ds-pick")].find((one) => one.getAttribute("aria-pressed") === "true");
      again?.focus({ preventScroll: true });
      window.tal.say(label ? `${label} is drawn out in the curves` : "no class is drawn out");
    }
    if (overview.evaluation && overview.evaluation.tiou.length > 1) {
      const options = overview.evaluation.tiou.map((t, i) => [i, t]);
      const act = (value) => ((state.shown = Number(value)), table.draw(), lines?.redraw());
      card.append(el("div", { class: "ds-tools" }, own.choice("tIoU", options, state.shown, act)));
    }
    if (!lines) card.append(table.node);
    else {
      const entries = [["mean", "var(--text)", "line"], ["each class", "var(--muted)", "line"], ["picked class", "var(--accent)", "line"]];
      const title = el("h3", {}, "Precision over recall");
      card.append(el("div", { class: "ds-two ds-classes" }, table.node, el("div", { class: "ds-beside" }, title, own.legend(entries), lines.node, tableOf(overview, state))));
    }
    return { card, leave: () => lines?.destroy() };
  };
})();
