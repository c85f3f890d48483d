import type { EvalSummary } from "../api.ts";
import { shortModel } from "./score-table.tsx";

const SIZE = 340;
const RADIUS = 138;

/** Scores as a shape: only tasks in percent, from the middle (0) to the rim (100). */
export function Radar({ evals }: { evals: readonly EvalSummary[] }) {
  // Replays of several systems have tasks of their own; they share no axis with models.
  const axes = [
    ...new Map(
      evals.flatMap(({ tasks }) =>
        tasks
          .filter(({ key, unit }) => unit === "%" && !key.includes("@"))
          .map(({ key, title }) => [key, title] as const),
      ),
    ),
  ];
  const drawn = evals.filter(
    ({ tasks }) => axes.filter(([key]) => scoreOf(tasks, key) !== undefined).length > 2,
  );
  if (axes.length < 3 || drawn.length === 0) return <p class="soft">A shape needs three tasks or more.</p>;
  const at = (i: number, share: number) => {
    const angle = (2 * Math.PI * i) / axes.length - Math.PI / 2;
    return [
      SIZE / 2 + RADIUS * share * Math.cos(angle),
      SIZE / 2 - 6 + RADIUS * share * Math.sin(angle),
    ] as const;
  };
  const ring = (share: number) => axes.map((_, i) => at(i, share).join(" ")).join("L");
  return (
    <figure class="radar">
      <svg
        viewBox={`-70 0 ${SIZE + 140} ${SIZE}`}
        role="img"
        aria-label={drawn
          .map(
            ({ model, tasks }) =>
              `${model}: ${tasks.map(({ title, score }) => `${title} ${score?.toFixed(1) ?? "none"}`).join(", ")}`,
          )
          .join(". ")}
      >
        {[0.25, 0.5, 0.75, 1].map((share) => (
          <path key={share} class="ring" d={`M${ring(share)}Z`} />
        ))}
        {axes.map(([key, title], i) => {
          const [x, y] = at(i, 1.13);
          return (
            <text
              key={key}
              x={x}
              y={y}
              text-anchor={Math.abs(x - SIZE / 2) < 12 ? "middle" : x > SIZE / 2 ? "start" : "end"}
              dominant-baseline="middle"
            >
              {title}
            </text>
          );
        })}
        {drawn.map(({ id, tasks }, n) => {
          const points = axes.flatMap(([key], i) => {
            const share = scoreOf(tasks, key);
            return share === undefined ? [] : [at(i, share).join(" ")];
          });
          return <path key={id} class={`shape t${(n % 8) + 1}`} d={`M${points.join("L")}Z`} />;
        })}
      </svg>
      <figcaption>
        {drawn.map(({ id, model }, n) => (
          <span key={id}>
            <span class={`swatch t${(n % 8) + 1}`} />
            {shortModel(model)}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

/** From 0 to 1, more is better; undefined where there is no score. */
function scoreOf(tasks: EvalSummary["tasks"], key: string): number | undefined {
  const task = tasks.find((one) => one.key === key);
  if (task === undefined || task.score === null) return undefined;
  return Math.max(0, Math.min(1, (task.lowerIsBetter ? 100 - task.score : task.score) / 100));
}
