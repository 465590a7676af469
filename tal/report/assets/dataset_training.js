/* How the model was trained: losses and learning rate over the updates of each network. */
"use strict";
(() => {
  const own = (window.talDataset = window.talDataset || {});
  const { el } = window.tal;
  const GRID = 0.5; // where all losses lie within so many powers of ten, the scale is linear

  const positive = (values) => values.filter((value) => value !== null && value > 0);

  /** Losses that differ by powers of ten are told apart on a log scale, as long as all are above 0. */
  function isWide(losses) {
    const values = losses.flatMap(([, curve]) => curve).filter((value) => value !== null);
    if (!values.length || values.some((value) => value <= 0)) return false;
    const means = losses.map(([, curve]) => positive(curve).reduce((a, b) => a + b, 0) / curve.length);
    return Math.log10(Math.max(...means) / Math.min(...means)) > GRID * 2;
  }

  function lossesOf(network) {
    const losses = Object.entries(network.losses);
    const log = isWide(losses);
    const tell = (i) => {
      const k = i === null ? network.steps.length - 1 : i;
      const said = losses.map(([name, curve]) => `${name} ${own.short(curve[k])}`);
      if (network.lr) said.push(`learning rate ${own.short(network.lr[k])}`);
      return `update ${own.count(network.steps[k])}: ${said.join(", ")}`;
    };
    return own.lines(() => ({
      label: `Losses of network ${network.network}; ${tell(null)}`,
      x: network.steps,
      series: losses.map(([name, values], i) => ({ name, values, colour: `--series-${(i % 8) + 1}`, points: values.length < 3 })),
      xLabel: "update", yLabel: log ? "loss, log scale" : "loss", log, xFormat: own.count, height: 240, tell,
    }));
  }

  const rateOf = (network) =>
    own.lines(() => ({
      label: `Learning rate of network ${network.network}`,
      x: network.steps,
      series: [{ name: "learning rate", values: network.lr, colour: "--muted", steps: true }],
      xLabel: "update", yLabel: "learning rate", xFormat: own.count, height: 130,
      yRange: () => [0, 1.1 * Math.max(...network.lr)],
      tell: () => "",
    }));

  function partOf(network, drawn) {
    const losses = lossesOf(network);
    drawn.push(losses);
    const names = Object.keys(network.losses);
    const part = el(
      "div",
      { class: "ds-network" },
      el("h3", {}, `Network ${network.network}`),
      el("p", { class: "muted" }, `${own.count(network.steps.at(-1))} updates in ${own.span(network.seconds)}`),
      own.legend(names.map((name, i) => [name, `var(--series-${(i % 8) + 1})`, "line"])),
      losses.node,
    );
    if (network.lr && Math.min(...network.lr) < Math.max(...network.lr)) {
      const rate = rateOf(network);
      drawn.push(rate);
      part.append(rate.node);
    }
    const rows = network.steps.map((step, i) => [
      own.count(step),
      ...names.map((name) => own.short(network.losses[name][i])),
      ...(network.lr ? [own.short(network.lr[i])] : []),
    ]);
    part.append(own.behind(`Losses of network ${network.network}`, ["update", ...names, ...(network.lr ? ["learning rate"] : [])], rows));
    return part;
  }

  own.trainingCard = (networks) => {
    const drawn = [];
    const parts = networks.map((network) => partOf(network, drawn));
    const card = own.card("training", "Training", "Mean losses since the point before", el("div", { class: parts.length > 1 ? "ds-two" : "" }, ...parts));
    return { card, leave: () => drawn.forEach((one) => one.destroy()) };
  };
})();
