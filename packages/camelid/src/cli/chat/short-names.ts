import { resolve, sep } from "node:path";

/** Folders under their shortest different endings: `sft/final` and `dpo/final`, but `base` where that says enough. */
export function shortNames(folders: readonly string[]): string[] {
  const paths = folders.map((folder) => resolve(folder).split(sep).filter(Boolean));
  return paths.map((path, place) => {
    const others = paths.filter((other, i) => i !== place && other.join(sep) !== path.join(sep));
    const ending = (parts: readonly string[], count: number): string => parts.slice(-count).join(sep);
    let count = path.at(-1) === "final" ? 2 : 1;
    while (count < path.length && others.some((other) => ending(other, count) === ending(path, count)))
      count++;
    return ending(path, count);
  });
}
