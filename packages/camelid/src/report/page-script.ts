/**
 * The only script of a report: the light/dark button and the cross-hair of line charts. Pages are complete
 * without it. It reads values back from the drawn paths, so no number is in the page twice.
 */
export const pageScript = `
"use strict";
const root = document.documentElement;
const remembered = (() => { try { return localStorage.getItem("camelid-theme"); } catch { return null; } })();
if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;
document.getElementById("theme").addEventListener("click", () => {
  const dark = getComputedStyle(root).colorScheme === "dark" ||
    (getComputedStyle(root).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("camelid-theme", root.dataset.theme); } catch {}
});
const number = (value) => Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US")
  : value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
for (const chart of document.querySelectorAll(".chart[data-x]")) {
  const plot = chart.querySelector(".plot");
  const [x0, x1] = chart.dataset.x.split(" ").map(Number);
  const [y0, y1] = chart.dataset.y.split(" ").map(Number);
  const log = chart.dataset.log === "1";
  const series = [...chart.querySelectorAll("path[data-name]")].map((path) => ({
    name: path.dataset.name,
    color: path.getAttribute("class"),
    points: [...path.getAttribute("d").matchAll(/[ML]([\\d.-]+) ([\\d.-]+)/g)].map((m) => [Number(m[1]), Number(m[2])]),
  }));
  const cross = document.createElement("div");
  cross.className = "cross";
  const tip = document.createElement("div");
  tip.className = "tip";
  const show = (event) => {
    const box = plot.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * 1000;
    let nearest;
    for (const { points } of series) for (const point of points) {
      if (nearest === undefined || Math.abs(point[0] - at) < Math.abs(nearest - at)) nearest = point[0];
    }
    if (nearest === undefined) return;
    tip.replaceChildren();
    const head = document.createElement("div");
    head.textContent = chart.dataset.xname + " " + number(x0 + (nearest / 1000) * (x1 - x0));
    tip.append(head);
    for (const { name, color, points } of series) {
      const point = points.reduce((best, p) => (!best || Math.abs(p[0] - nearest) < Math.abs(best[0] - nearest) ? p : best), undefined);
      if (!point || Math.abs(point[0] - nearest) > 15) continue;
      const share = 1 - point[1] / 1000;
      const value = log ? 10 ** (Math.log10(y0) + share * (Math.log10(y1) - Math.log10(y0))) : y0 + share * (y1 - y0);
      const line = document.createElement("div");
      const swatch = document.createElement("i");
      swatch.className = color;
      line.append(swatch, (name ? name + " " : "") + number(value));
      tip.append(line);
    }
    const left = (nearest / 1000) * box.width;
    cross.style.left = left + "px";
    plot.append(cross, tip);
    tip.style.left = Math.max(0, left + 10 + tip.offsetWidth > box.width ? left - tip.offsetWidth - 10 : left + 10) + "px";
  };
  plot.addEventListener("pointermove", show);
  plot.addEventListener("pointerdown", show);
  plot.addEventListener("pointerleave", () => { cross.remove(); tip.remove(); });
}
addEventListener("beforeprint", () => { for (const details of document.querySelectorAll("details")) details.open = true; });
`;
