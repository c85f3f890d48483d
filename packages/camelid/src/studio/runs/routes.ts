import { type Context, Hono } from "hono";
import { runReport } from "../../report/run-report.js";
import { readRun } from "../../run/read-run.js";
import { runHolder } from "../../run/run-lock.js";
import type { SeriesReply, SmoothReply } from "../api.js";
import type { StudioContext } from "../context.js";
import { NotFound } from "../failures.js";
import { idOf, wholeNumber } from "../query.js";
import { bucketed, type Grid, gridOf, gridSteps, smoothed } from "./bucket.js";
import { runDetail } from "./detail.js";
import type { RunLog } from "./run-log.js";
import { runStatus } from "./run-status.js";
import type { Series } from "./series.js";
import { runRow, stepDetail, warmRows } from "./step.js";

/** Shown nowhere as curves. */
const NO_CURVES = new Set(["epoch", "trained_tokens"]);

export function runRoutes(studio: StudioContext): Hono {
  const routes = new Hono();
  const logOf = (id: string): { folder: string; log: RunLog } => {
    const folder = studio.folder(id);
    return { folder, log: studio.log(folder) };
  };

  routes.get("/:id", (context) => {
    const { folder, log } = logOf(idOf(context));
    warmRows(studio, folder);
    return context.json(runDetail(folder, idOf(context), log));
  });

  routes.get("/:id/series", (context) => {
    const { folder, log } = logOf(idOf(context));
    const status = runStatus(folder, log);
    const version = versionOf(folder, log);
    const { readShare } = log;
    // A browser that follows a run asks often; most of the time nothing has happened.
    if (context.req.query("version") === version) return context.body(null, 204);
    const { grid, smoothing } = gridAsked(context, log);
    const series = curves(log).map(([key, one]) => [key, bucketed(one, grid, smoothing)] as const);
    const { firstStep, lastStep } = log;
    const answer: SeriesReply = {
      ...{ version, status, readShare, firstStep, lastStep, from: grid.from, to: grid.to, width: grid.width },
      ...{ x: gridSteps(grid), series: Object.fromEntries(series) },
    };
    return context.json(answer);
  });

  /** Other smoothing over the same steps: the rest of the curves, most of the work and of the bytes, stays as it is. */
  routes.get("/:id/smooth", (context) => {
    const { folder, log } = logOf(idOf(context));
    const { grid, smoothing } = gridAsked(context, log);
    const answer: SmoothReply = {
      version: versionOf(folder, log),
      series: Object.fromEntries(curves(log).map(([key, one]) => [key, smoothed(one, grid, smoothing)])),
    };
    return context.json(answer);
  });

  routes.get("/:id/steps/:step", async (context) => {
    const { folder, log } = logOf(idOf(context));
    return context.json(await stepDetail(studio, folder, log, Number(context.req.param("step"))));
  });

  routes.get("/:id/rows/:place", async (context) => {
    return context.json(
      await runRow(studio, studio.folder(idOf(context)), Number(context.req.param("place"))),
    );
  });

  /** The report as `camelid report` writes it, of this moment. It brings its own script, so it gets no rights at all. */
  routes.get("/:id/report.html", async (context) => {
    const page = runReport(await readRun(studio.folder(idOf(context))));
    context.header(
      "content-security-policy",
      "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:",
    );
    if (context.req.query("save") !== undefined) {
      context.header(
        "content-disposition",
        `attachment; filename="${idOf(context).replace(/[^\w.-]+/g, "-")}.html"`,
      );
    }
    return context.html(page);
  });

  routes.post("/:id/stop", (context) => {
    const folder = studio.folder(idOf(context));
    const holder = runHolder(folder);
    if (holder.kind !== "alive") throw new NotFound("no process of this machine writes that run.");
    process.kill(holder.pid, "SIGINT"); // as Ctrl+C: it finishes the step and saves
    return context.json({ stopping: holder.pid });
  });

  return routes;
}

/** Changes with every event, and when the process that wrote it is gone. */
function versionOf(folder: string, log: RunLog): string {
  return `${log.version}-${runStatus(folder, log)}`;
}

function gridAsked(context: Context, log: RunLog): { grid: Grid; smoothing: number } {
  const from = wholeNumber(context, "from", log.firstStep, [0, 1e12]);
  const to = wholeNumber(context, "to", log.lastStep, [0, 1e12]);
  return {
    grid: gridOf(from, Math.max(from, to), wholeNumber(context, "points", 800, [10, 5000])),
    smoothing: wholeNumber(context, "smooth", 0, [0, 1e6]),
  };
}

function curves(log: RunLog): [string, Series][] {
  return [...log.series].filter(([key]) => !NO_CURVES.has(key));
}
