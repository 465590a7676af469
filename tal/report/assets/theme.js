// Light and dark: as the system says, until the reader chooses.
"use strict";
(() => {
  const { icon, emitter } = window.tal;
  const KEY = "tal-theme", bus = emitter();
  const system = matchMedia("(prefers-color-scheme: dark)");
  const SUN = "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zm0-6v3m0 16v3M1 12h3m16 0h3M4.2 4.2l2.1 2.1m11.4 11.4 2.1 2.1M4.2 19.8l2.1-2.1M17.7 6.3l2.1-2.1";
  const MOON = "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z";

  function remembered() {
    try { return localStorage.getItem(KEY); } catch { return null; }  // some browsers keep nothing for files
  }
  function remember(theme) {
    try { localStorage.setItem(KEY, theme); } catch { /* then it holds until the page is closed */ }
  }
  const current = () => document.documentElement.dataset.theme;

  function apply(theme) {
    document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme"), dark = theme === "dark";
    button.replaceChildren(icon(dark ? SUN : MOON));
    button.setAttribute("aria-label", dark ? "Switch to light colours" : "Switch to dark colours");
    button.title = button.getAttribute("aria-label");
    bus.emit("theme", theme);
  }
  function toggle() {
    const theme = current() === "dark" ? "light" : "dark";
    remember(theme);
    apply(theme);
  }

  const kept = remembered();
  apply(kept === "dark" || kept === "light" ? kept : system.matches ? "dark" : "light");
  document.getElementById("theme").addEventListener("click", toggle);
  system.addEventListener("change", () => remembered() || apply(system.matches ? "dark" : "light"));
  Object.assign(window.tal, { toggleTheme: toggle, onTheme: (f) => bus.on("theme", f) });
})();
