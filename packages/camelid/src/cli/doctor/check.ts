/** One thing that was looked at. */
export interface Check {
  name: string;
  /** `warn`: works, but something will be slow or missing. `fail`: will not work. */
  status: "ok" | "warn" | "fail";
  /** What was found, one line. */
  detail: string;
  /** What to do about it; for `warn` and `fail`. */
  fix?: string;
}
