import { existsSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { Hono } from "hono";
import { z } from "zod";
import { SettingsError } from "../../errors.js";
import type { Recipe } from "../../settings/recipe.js";
import type { LaunchChoices } from "../api.js";
import type { StudioContext } from "../context.js";
import { NotFound } from "../failures.js";
import { studioFolder } from "../preferences/vote-file.js";
import { checkLaunch, commandWords } from "./check.js";
import { recipeForm } from "./form.js";
import { Launcher, launchState } from "./launcher.js";
import { planLaunch } from "./plan.js";

/** How runs are started: given by the command line, which alone knows its own program and recipes. */
export interface Launching {
  readonly program: readonly [string, ...string[]];
  readonly recipes: readonly string[];
  /** Those of them that `camelid plan` knows. */
  readonly plannable: readonly string[];
  load(recipe: string): Promise<Recipe>;
}

const Body = z.strictObject({
  recipe: z.string(),
  preset: z.string().nullable(),
  values: z.record(z.string(), z.string().max(20_000)),
  resume: z.string().nullable(),
});

export function launchRoutes(studio: StudioContext, launching: Launching): Hono {
  const routes = new Hono();
  const first = studio.roots.roots[0]!.path;
  const launcher = new Launcher(launching.program, studioFolder(first));

  const load = async (name: string): Promise<Recipe> => {
    if (!launching.recipes.includes(name)) throw new NotFound(`there is no recipe "${name}".`);
    return await launching.load(name);
  };
  const resumed = (id: string | null) => (id === null ? undefined : shown(studio.folder(id)));

  routes.get("/recipes", async (context) => {
    return context.json(
      await Promise.all(
        launching.recipes.map(async (name) =>
          recipeForm(name, await launching.load(name), launching.plannable.includes(name)),
        ),
      ),
    );
  });

  routes.get("/choices", (context) => {
    const { models, mixes, files } = studio.catalog();
    const path = (id: string) => shown(studio.roots.pathOf(id) ?? id);
    const answer: LaunchChoices = {
      models: models.map(({ id }) => ({ id, path: path(id) })),
      data: [
        ...mixes.map(({ id, kind }) => ({ id, kind, path: join(path(id), "train.jsonl") })),
        ...files.map(({ id, kind }) => ({ id, kind, path: path(id) })),
      ],
      out: shown(existsSync(join(first, "out")) ? join(first, "out") : first),
    };
    return context.json(answer);
  });

  routes.post("/check", async (context) => {
    const request = Body.parse(await context.req.json());
    return context.json(checkLaunch(request, await load(request.recipe), resumed(request.resume)));
  });

  routes.post("/plan", async (context) => {
    const request = Body.parse(await context.req.json());
    if (!launching.plannable.includes(request.recipe))
      throw new NotFound(`"${request.recipe}" cannot be planned.`);
    return context.json(await planLaunch(launching.program, request, context.req.raw.signal));
  });

  routes.post("/start", async (context) => {
    const request = Body.parse(await context.req.json());
    const from = resumed(request.resume);
    const check = checkLaunch(request, await load(request.recipe), from);
    if (check.problems.length > 0) return context.json(check, 422);
    const out = resolve(from ?? request.values.out ?? "");
    refuseOutside(out);
    const launch = launcher.start(commandWords(request, from), check.command, out);
    studio.forget();
    return context.json(launchState(launch, null));
  });

  routes.get("/started/:launch", (context) => {
    const launch = launcher.get(context.req.param("launch"));
    if (launch === undefined) throw new NotFound("nothing was started under that number.");
    const real = studio.roots.inside(launch.out);
    return context.json(launchState(launch, real === undefined ? null : studio.roots.idOf(real)));
  });

  /** A run that the Studio could not show would be lost to who started it here. */
  function refuseOutside(out: string): void {
    let there = out;
    while (!existsSync(there)) there = dirname(there);
    if (studio.roots.inside(there) !== undefined) return;
    throw new SettingsError(
      "ERR_STUDIO_OUT",
      "the run folder lies outside the folders that the Studio was opened on.",
      {
        where: out,
        fix: `choose a folder below ${studio.roots.roots.map(({ path }) => path).join(" or ")}.`,
      },
    );
  }

  return routes;
}

/** As one would type it: relative where that is shorter. */
function shown(path: string): string {
  const short = relative(process.cwd(), path);
  if (short === "") return ".";
  return short.startsWith("..") || isAbsolute(short) ? path : short;
}
