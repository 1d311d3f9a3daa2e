/** The import rules of the design: no import runs back up, and there are no circles. */
const below = {
  http: [],
  bedrock: [],
  config: [],
  providers: ["bedrock"],
  upstream: ["config"],
  keys: ["config"],
  store: ["config"],
  telemetry: ["config", "store"],
  governance: ["config", "store"],
  cache: ["config", "store"],
  admin: ["config", "store", "governance", "telemetry", "cache"],
  gateway: ["http", "bedrock", "config", "providers", "upstream", "keys", "store", "telemetry", "governance", "cache"],
};
const rooms = Object.keys(below);

module.exports = {
  forbidden: [
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no-undeclared",
      comment: "What src/ imports must be a dependency of the package, not only of its development.",
      severity: "error",
      from: { path: "^(src|workers)/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "unknown", "undetermined"] },
    },
    {
      name: "not-from-tests",
      severity: "error",
      from: { path: "^(src|workers)/" },
      to: { path: "^(test|bench|scripts)/" },
    },
    {
      name: "entry-is-the-top",
      severity: "error",
      from: { path: "^(src/[^/]+/|workers/)" },
      to: { path: "^src/(main|server)\\.ts$" },
    },
    {
      name: "threads-are-above",
      severity: "error",
      from: { path: `^src/(${rooms.join("|")})/` },
      to: { path: "^src/threads/" },
    },
    { name: "workers-are-called-not-imported", severity: "error", from: { path: "^src/" }, to: { path: "^workers/" } },
    ...rooms.map((room) => ({
      name: `${room}-imports`,
      comment: `src/${room} may import ${below[room].length === 0 ? "nothing of ours" : below[room].map((one) => `src/${one}`).join(", ")}.`,
      severity: "error",
      from: { path: `^src/${room}/` },
      to: { path: "^src/", pathNot: `^src/(${[room, ...below[room]].join("|")})/` },
    })),
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: {
      extensions: [".ts", ".js"],
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
    },
  },
};
