/** What the gateway is held against: nginx as a plain proxy, Portkey, and gateways that already run. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { freePort, inherited } from "../../test/support/gateway.ts";
import { installed } from "../npm-package.ts";
import { NotMeasured } from "../report.ts";
import { originOf, type Server, type Stage } from "./stage.ts";

export interface Peer extends Server {
  readonly version: string;
}

/** A gateway that the user has started, with an OpenAI API and the fake upstream behind it. */
export interface GivenPeer {
  readonly name: string;
  readonly port: number;
  readonly prefix: string;
  readonly pid: number | undefined;
}

/** Found on the PATH. */
const nginx = "nginx";
const portkeyPackage = "@portkey-ai/gateway";
const portkeyVersion = "1.15.2";
const listenMs = 20_000;

/** nginx with one worker and no log, passing everything on over kept connections: the least a proxy can cost. */
export async function startNginx(stage: Stage): Promise<Peer> {
  const asked = spawnSync(nginx, ["-v"], { encoding: "utf8" });
  if (asked.error !== undefined) throw new NotMeasured("nginx is not on the PATH");
  const port = await freePort();
  const folder = join(stage.folder, "nginx");
  mkdirSync(folder);
  const config = join(folder, "nginx.conf");
  writeFileSync(config, nginxConfig(folder, port, (await stage.upstream()).port));
  const args = ["-c", config, "-p", folder, "-e", join(folder, "error.log")];
  const child = stage.start("nginx", args, { command: nginx, cwd: folder });
  await listening(port);
  const version = /nginx\/(\S+)/.exec(asked.stderr)?.[1] ?? "of unknown version";
  return { pid: child.pid, port, prefix: "", headers: {}, version };
}

function nginxConfig(folder: string, port: number, upstreamPort: number): string {
  const { uid, username } = userInfo();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `${uid === 0 ? `user ${username} ${username};\n` : ""}daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 8192; }
http {
  access_log off;
${temporary.map((kind) => `  ${kind}_temp_path ${folder}/${kind};`).join("\n")}
  client_max_body_size 100m;
  client_body_buffer_size 256k;
  keepalive_requests 1000000000;
  upstream fake { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 1000000000; keepalive_timeout 5s; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://fake;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`;
}

/** Portkey's gateway from npm. */
export async function startPortkey(stage: Stage): Promise<Peer> {
  const entry = installed(portkeyPackage, portkeyVersion, "build/start-server.js");
  const port = await freePort();
  const args = [entry, `--port=${port}`, "--headless"];
  const child = stage.start("Portkey", args, { cwd: stage.folder, env: { ...inherited(), NODE_ENV: "production" } });
  await listening(port);
  const headers = {
    authorization: "Bearer sk-bench",
    "x-portkey-provider": "openai",
    "x-portkey-custom-host": `${originOf(await stage.upstream())}/v1`,
  };
  return { pid: child.pid, port, prefix: "", headers, version: portkeyVersion };
}

/**
 * Reads `name=url` or `name=url,pid=N`.
 *
 * @returns what is wrong with it, if anything is
 */
export function readPeer(text: string): GivenPeer | string {
  const found = /^([\w.-]+)=(http:\/\/[^,]+)(?:,pid=(\d+))?$/.exec(text);
  if (found === null || !URL.canParse(found[2] ?? "")) return `${text}: a peer is NAME=http://127.0.0.1:PORT[,pid=N]`;
  const url = new URL(found[2] ?? "");
  if (url.hostname !== "127.0.0.1" && url.hostname !== "localhost")
    return `${text}: a peer has to run on this machine, whose cores and loopback it shares with the gateway`;
  return {
    name: found[1] ?? "",
    port: Number(url.port || 80),
    prefix: url.pathname.replace(/\/$/, ""),
    pid: found[3] === undefined ? undefined : Number(found[3]),
  };
}

/** Waits until a connection to the port is accepted. */
async function listening(port: number): Promise<void> {
  const until = performance.now() + listenMs;
  while (performance.now() < until) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = connect({ port, host: "127.0.0.1" }, () => resolve(true));
      socket.on("connect", () => socket.destroy()).on("error", () => resolve(false));
    });
    if (accepted) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new NotMeasured(`nothing listens on port ${port} after ${listenMs / 1000} s`);
}
