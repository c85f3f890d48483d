import type { MixSource } from "../api.ts";
import { count } from "../format.ts";

const LOSSES = [
  { key: "bad", name: "unreadable" },
  { key: "notSampled", name: "not drawn" },
  { key: "rejected", name: "made nothing" },
  { key: "filtered", name: "filtered" },
  { key: "deduplicated", name: "duplicate" },
  { key: "nearDuplicates", name: "near duplicate" },
  { key: "contaminated", name: "contaminated" },
  { key: "overQuota", name: "over quota" },
  { key: "heldOut", name: "held out" },
] as const;

/** Every source as a row of numbers: read on the left, written on the right, each loss between; columns of zeros left out. */
export function Flow({ sources }: { sources: MixSource[] }) {
  const lost = LOSSES.filter(({ key }) => sources.some(({ counts }) => (counts[key] ?? 0) > 0));
  return (
    <div class="scroll">
      <table class="wide">
        <thead>
          <tr>
            <th>Source</th>
            <th class="num">read</th>
            {lost.map(({ key, name }) => (
              <th key={key} class="num">
                {name}
              </th>
            ))}
            <th class="num">written</th>
          </tr>
        </thead>
        <tbody>
          {sources.map(({ name, counts }) => (
            <tr key={name}>
              <td>{name}</td>
              <td class="num">{count(counts.read)}</td>
              {lost.map(({ key }) => (
                <td key={key} class="num soft">
                  {counts[key] === 0 ? "" : `−${count(counts[key])}`}
                </td>
              ))}
              <td class="num">
                <b>{count(counts.written)}</b>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
