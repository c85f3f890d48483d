/** Light, dark, or as the system has it. Kept in the browser; the reports use the same colours. */
export type Theme = "system" | "light" | "dark";

const KEY = "camelid-theme";
const listeners = new Set<() => void>();

export function theme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function setTheme(next: Theme): void {
  if (next === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, next);
  applyTheme();
}

export function applyTheme(): void {
  const kept = theme();
  if (kept === "system") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = kept;
  for (const listener of listeners) listener();
}

/** Canvases hold colours, not rules: they are drawn again when the theme changes. */
export function onThemeChange(listener: () => void): () => void {
  const media = matchMedia("(prefers-color-scheme: dark)");
  listeners.add(listener);
  media.addEventListener("change", listener);
  return () => {
    listeners.delete(listener);
    media.removeEventListener("change", listener);
  };
}

/** The value of a CSS colour variable at this moment, as a canvas takes it. */
export function color(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
