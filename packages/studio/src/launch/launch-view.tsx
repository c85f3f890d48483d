import type { Catalog } from "../api.ts";
import { Page } from "../parts/blocks.tsx";
import type { Route } from "../router.tsx";

export function LaunchView(_props: { route: Route; catalog: Catalog; reload?: () => void }) {
  return <Page title="LaunchView">{null}</Page>;
}
