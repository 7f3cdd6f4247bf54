/* Liveliness and nothing else: live values, their ages, and a fresh page when something moved. Every page works
   without this file. It talks to its own origin only, writes text (never markup from events), and holds no secret. */
"use strict";

(() => {
  const stream = document.body.dataset.live;
  const said = document.querySelector("[data-stream]");
  if (!stream || !window.EventSource) return;

  const REFRESH_MS = 2000; // a busy plant moves several orders a second; nobody reads that fast
  let speed = Number(document.body.dataset.speed) || 1;
  let seenAt = performance.now();
  const ages = new Map(); // tag -> age in seconds of plant time at `seenAt`
  let pending = null;

  const spell = (seconds) => {
    if (seconds < 90) return `${Math.floor(seconds)} s`;
    if (seconds < 5400) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  };

  const put = (node, text) => { if (node && node.textContent !== text) node.textContent = text; };

  const showAges = () => {
    const passed = (performance.now() - seenAt) / 1000 * speed;
    for (const tile of document.querySelectorAll("[data-tag]")) {
      const age = ages.get(tile.dataset.tag);
      if (age !== undefined) put(tile.querySelector("[data-age]"), spell(age + passed));
    }
  };

  const showValues = (message) => {
    const passed = (performance.now() - seenAt) / 1000 * speed;
    for (const [tag, age] of ages) ages.set(tag, age + passed);
    speed = message.speed;
    seenAt = performance.now();
    for (const tile of document.querySelectorAll("[data-tag]")) {
      const value = message.tags[tile.dataset.tag];
      if (!value) continue;
      put(tile.querySelector("[data-value]"), value.text);
      put(tile.querySelector("[data-state]"), value.stale_text);
      put(tile.querySelector("[data-quality]"), value.quality_text);
      tile.classList.toggle("stale", value.stale);
    }
    for (const [tag, value] of Object.entries(message.tags)) ages.set(tag, value.age_s);
    showAges();
  };

  const busy = () => {
    const active = document.activeElement;
    return document.querySelector("main details[open]") || (active && active.matches("input, textarea, select"));
  };

  const refresh = async () => {
    pending = null;
    if (busy()) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) return;
    const whole = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = whole.querySelector("main");
    const main = document.querySelector("main");
    if (!fresh || busy()) return;
    main.replaceChildren(...fresh.childNodes);
    const [nav, counted] = [document.querySelector(".nav"), whole.querySelector(".nav")];
    if (nav && counted) nav.replaceChildren(...counted.childNodes);
    showAges();
  };

  const source = new EventSource(stream);
  source.addEventListener("open", () => put(said, said.dataset.on));
  source.addEventListener("error", () => {
    put(said, said.dataset.off);
    for (const tile of document.querySelectorAll("[data-tag]")) { // no word from the gateway: nothing is fresh
      tile.classList.add("stale");
      put(tile.querySelector("[data-state]"), said.dataset.stale);
    }
  });
  source.addEventListener("values", (event) => showValues(JSON.parse(event.data)));
  source.addEventListener("changed", (event) => {
    const wanted = (document.querySelector("main").dataset.refresh || "").split(" ");
    if (pending === null && JSON.parse(event.data).some((topic) => wanted.includes(topic))) {
      pending = setTimeout(() => refresh().catch(() => {}), REFRESH_MS);
    }
  });
  setInterval(showAges, 1000);
  addEventListener("pagehide", () => source.close());
})();
