import { useState } from "preact/hooks";
import { type Catalog, get } from "./api.ts";
import { ChatView } from "./chat/chat-view.tsx";
import { DataPages } from "./data/data-view.tsx";
import { EvalsView } from "./evals/evals-view.tsx";
import { useEvery, useLoad } from "./hooks.ts";
import { LaunchView } from "./launch/launch-view.tsx";
import { Failure } from "./parts/blocks.tsx";
import { Boundary } from "./parts/boundary.tsx";
import { PreferencesView } from "./preferences/preferences-view.tsx";
import { link, type Route, useRoute } from "./router.tsx";
import { CompareView } from "./runs/compare-view.tsx";
import { RunView } from "./runs/run-view.tsx";
import { RunsView } from "./runs/runs-view.tsx";
import { setTheme, type Theme, theme } from "./theme.ts";

const VIEWS = [
  { view: "runs", name: "Runs", key: "1" },
  { view: "data", name: "Data", key: "2" },
  { view: "preferences", name: "Preferences", key: "3" },
  { view: "evals", name: "Evals", key: "4" },
  { view: "chat", name: "Chat", key: "5" },
  { view: "train", name: "Train", key: "6" },
] as const;

export function App() {
  const route = useRoute();
  const {
    value: catalog,
    error,
    reload,
  } = useLoad("catalog", (signal) => get<Catalog>("catalog", {}, signal));
  useEvery(3000, reload);
  useDigits();
  return (
    <div class="studio">
      <button type="button" class="skip" onClick={() => document.getElementById("page")?.focus()}>
        Skip to the page
      </button>
      <Rail current={route.view} catalog={catalog} />
      <Boundary key={`${route.view} ${route.id}`} name={route.view}>
        {route.view === "run" ? (
          <RunView key={route.id} route={route} />
        ) : route.view === "compare" ? (
          <CompareView route={route} />
        ) : catalog !== undefined ? (
          <View catalog={catalog} route={route} reload={reload} />
        ) : (
          <main class="page" aria-busy={error === undefined}>
            {error && <Failure of={error} />}
          </main>
        )}
      </Boundary>
    </div>
  );
}

function View({ catalog, route, reload }: { catalog: Catalog; route: Route; reload: () => void }) {
  switch (route.view) {
    case "data":
      return <DataPages route={route} catalog={catalog} />;
    case "preferences":
      return <PreferencesView route={route} catalog={catalog} reload={reload} />;
    case "evals":
      return <EvalsView route={route} catalog={catalog} />;
    case "chat":
      return <ChatView route={route} catalog={catalog} />;
    case "train":
      return <LaunchView route={route} catalog={catalog} reload={reload} />;
    default:
      return <RunsView catalog={catalog} />;
  }
}

function Rail({ current, catalog }: { current: string; catalog: Catalog | undefined }) {
  const counts: Record<string, number | undefined> = {
    runs: catalog?.runs.length,
    data: catalog && catalog.mixes.length + catalog.files.length,
    evals: catalog?.evals.length,
  };
  const place = current === "run" || current === "compare" ? "runs" : current;
  return (
    <div class="rail">
      <a class="mark" href={link("runs")}>
        <svg viewBox="0 0 26 14" aria-hidden="true">
          <path
            d="M1 12c3 0 4-10 8-10s3 6 5 6 2-6 5-6 3 10 6 10"
            fill="none"
            stroke="currentColor"
            stroke-width="1.8"
            stroke-linecap="round"
          />
        </svg>
        Studio
      </a>
      <nav aria-label="Views">
        {VIEWS.map(({ view, name }) => (
          <a key={view} href={link(view)} aria-current={view === place ? "page" : undefined}>
            {name}
            {counts[view] ? <span>{counts[view]}</span> : null}
          </a>
        ))}
      </nav>
      <footer>
        <ThemeChoice />
      </footer>
    </div>
  );
}

function ThemeChoice() {
  const [now, setNow] = useState<Theme>(theme());
  const choose = (next: Theme) => {
    setTheme(next);
    setNow(next);
  };
  return (
    <label>
      <span class="hidden">Colours</span>
      <select value={now} onChange={(event) => choose(event.currentTarget.value as Theme)}>
        <option value="system">system colours</option>
        <option value="light">light</option>
        <option value="dark">dark</option>
      </select>
    </label>
  );
}

/** Digits change the view, where no one is typing. */
function useDigits(): void {
  useState(() => {
    addEventListener("keydown", (event) => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
        return;
      const found =
        document.querySelector('[data-own-digits="true"]') === null &&
        VIEWS.find(({ key }) => key === event.key);
      if (found) location.hash = link(found.view);
    });
  });
}
