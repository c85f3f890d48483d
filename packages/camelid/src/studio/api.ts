/**
 * What the Studio's server says to the browser, and nothing of how. `packages/studio` imports these types only, so that
 * both sides are checked against one description.
 */
export type * from "./api/catalog.js";
export type * from "./api/common.js";
export type * from "./api/data.js";
export type * from "./api/evals.js";
export type * from "./api/launch.js";
export type * from "./api/preferences.js";
export type * from "./api/runs.js";
