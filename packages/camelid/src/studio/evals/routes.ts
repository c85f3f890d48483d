import { statSync } from "node:fs";
import { Hono } from "hono";
import type { Prediction } from "../../eval/predictions.js";
import { PAPER_COLUMNS, PUBLISHED_TABLES } from "../../eval/published.js";
import { readMetrics, readPredictions } from "../../eval/results-folder.js";
import type { PublishedScores } from "../api.js";
import type { StudioContext } from "../context.js";
import { NotFound } from "../failures.js";
import { idOf, wholeNumber } from "../query.js";
import { Keep } from "../rows/keep.js";
import { evalDetail } from "./detail.js";
import { flips } from "./flips.js";
import { itemDetail, listItems } from "./items.js";

export function evalRoutes(studio: StudioContext): Hono {
  const routes = new Hono();
  const kept = new Keep<Prediction[]>(8);

  const predictionsOf = (id: string, task: string): Prediction[] => {
    const folder = studio.folder(id);
    const summary = Object.hasOwn(readMetrics(folder).tasks, task)
      ? readMetrics(folder).tasks[task]
      : undefined;
    const path = summary && studio.fileIn(folder, summary.predictions);
    if (summary === undefined || path === undefined)
      throw new NotFound(`the evaluation has no items of "${task}".`);
    const { size, mtimeMs } = statSync(path);
    return kept.get(`${path} ${size} ${mtimeMs}`, () => readPredictions(folder, summary));
  };

  routes.get("/published", (context) => {
    const answer: PublishedScores = {
      columns: PAPER_COLUMNS.map((column) => ({ ...column })),
      tables: PUBLISHED_TABLES.map(({ number, title, rows }) => ({
        ...{ number, title },
        rows: rows.map(({ model, scores, average }) => ({
          model,
          scores: scores as Record<string, number>,
          average: average ?? null,
        })),
      })),
    };
    return context.json(answer);
  });

  routes.get("/flips", (context) => {
    const { a = "", b = "", task = "" } = context.req.query();
    return context.json(flips(task, predictionsOf(a, task), predictionsOf(b, task)));
  });

  routes.get("/:id", (context) => context.json(evalDetail(studio.folder(idOf(context)), idOf(context))));

  routes.get("/:id/items", (context) => {
    const { task = "", verdict = "", words = "", group = "" } = context.req.query();
    const page = {
      offset: wholeNumber(context, "offset", 0, [0, 1e9]),
      limit: wholeNumber(context, "limit", 100, [1, 500]),
    };
    return context.json(listItems(predictionsOf(idOf(context), task), { verdict, words, group, ...page }));
  });

  routes.get("/:id/items/:index", (context) => {
    const index = Number(context.req.param("index"));
    const prediction = predictionsOf(idOf(context), context.req.query("task") ?? "")[index];
    if (prediction === undefined) throw new NotFound(`there is no item ${index + 1}.`);
    return context.json(itemDetail(prediction, index));
  });

  return routes;
}
