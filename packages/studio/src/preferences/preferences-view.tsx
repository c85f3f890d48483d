import type { Catalog } from "../api.ts";
import { Page } from "../parts/blocks.tsx";
import type { Route } from "../router.tsx";

export function PreferencesView(_props: { route: Route; catalog: Catalog; reload?: () => void }) {
  return <Page title="PreferencesView">{null}</Page>;
}
