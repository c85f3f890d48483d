import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/tables.css";
import "./styles/marks.css";
import "./styles/tokens.css";
import "./styles/charts.css";
import "./styles/list.css";
import "./styles/runs-and-data.css";
import "./styles/preferences.css";
import "./styles/launch.css";
import "./styles/evals.css";
import { App } from "./app.tsx";
import { applyTheme } from "./theme.ts";

applyTheme();
render(<App />, document.getElementById("app")!);
