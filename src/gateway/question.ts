/** What a request asks, for the cache: all that decides about its answer, and how that answer is written and read. */

import { BedrockError } from "../bedrock/errors.ts";
import { chooseFamily } from "../bedrock/families/index.ts";
import type { JsonObject } from "../bedrock/json.ts";
import type { Route } from "../bedrock/operations.ts";
import type { RequestFacts } from "../cache/partition.ts";
import type { Identity } from "../governance/identity.ts";
import type { RequestHeaders } from "../http/exchange.ts";
import type { ActiveRequest } from "./active-request.ts";
import type { ClientAuth } from "./client-auth.ts";
import { converseWriter, readClientRequest, type TextWriter } from "./client-format.ts";
import { type HeaderFilter, headersForUpstream } from "./headers.ts";
import { invokeReader } from "./invoke-answers.ts";
import type { AnswerReader } from "./keeper.ts";
import { readConverseFrames, readWholeConverse } from "./kept-answer.ts";
import { readPin } from "./key-source.ts";
import type { Target } from "./target.ts";
import { parseUnambiguous } from "./unambiguous-json.ts";

/** Who asks, and with which keys. */
export interface Asker {
  readonly identity: Identity | undefined;
  readonly auth: ClientAuth;
  /** The client's own pin holds for this target. */
  readonly isPinned: boolean;
  /** The only key that a routing rule wants. */
  readonly keyId: string | undefined;
  readonly headerFilter: HeaderFilter;
}

export interface Question {
  readonly facts: RequestFacts;
  readonly writer: TextWriter;
  /** For a target whose bytes pass as they came. */
  readonly reader: AnswerReader | undefined;
}

const converseReader: AnswerReader = { whole: readWholeConverse, frames: readConverseFrames };

/** @returns why the cache can have no part in it, where that is so */
export function readQuestion(
  request: ActiveRequest,
  route: Route,
  target: Target,
  asker: Asker,
): Question | "unreadable" | "family" {
  const { exchange } = request;
  const body = parseUnambiguous(target.body);
  if (body === undefined) return "unreadable";
  const model = target.model ?? "";
  const who = {
    virtualKey: asker.identity?.id ?? null,
    credential: credentialOf(asker.auth),
    provider: target.provider.name,
    model,
    mayShow: request.content?.isLogged === true,
    aside: {
      region: target.region,
      keyId: asker.keyId,
      pin: asker.isPinned ? readPin(exchange.headers) : undefined,
      signer: asker.auth.kind === "signed" ? asker.auth.pinned : undefined,
      query: exchange.query === "" ? undefined : exchange.query,
      headers: decisiveHeaders(exchange.headers, asker.headerFilter),
    },
  };
  const isRelayed = target.provider.kind === "bedrock";
  if (route.operation.name === "Converse" || route.operation.name === "ConverseStream") {
    const facts = { ...who, operation: "converse", request: body };
    return { facts, writer: converseWriter, reader: isRelayed ? converseReader : undefined };
  }
  const foreign = target.provider.kind === "translated";
  try {
    const context = { headers: exchange.headers, foreign, requestId: request.id };
    const format = readClientRequest(route, model, target.body, context);
    if (format.kind !== "text") return "family";
    const family = chooseFamily(model, body, foreign);
    if (family.kind !== "text") return "family";
    const reader = isRelayed ? invokeReader(family, { modelId: model, requestId: request.id, body }) : undefined;
    if (isRelayed && reader === undefined) return "family";
    const facts = {
      ...who,
      aside: { ...who.aside, body: withoutConversation(body) },
      operation: `invoke ${family.name}`,
      request: format.request,
      verbatim: body,
    };
    return { facts, writer: format, reader };
  } catch (error) {
    if (error instanceof BedrockError) return "unreadable";
    throw error;
  }
}

/** Where the families of InvokeModel have what was said. */
const conversation = new Set(["chat_history", "inputText", "message", "messages", "preamble", "prompt", "system"]);

/** What else a body says, so that nothing is lost that reading it into Converse leaves out. */
function withoutConversation(body: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !conversation.has(name)));
}

/** All of it: whoever does not know the secret must not be given what it has paid for. The cache keeps a hash. */
function credentialOf(auth: ClientAuth): string | null {
  if (auth.kind !== "direct") return null;
  const { credential, region } = auth.bedrock;
  const own =
    credential.kind === "bearer"
      ? [credential.token.reveal()]
      : [credential.credentials.accessKeyId, credential.credentials.secretAccessKey];
  return JSON.stringify([...own, region, auth.other?.reveal()]);
}

/** They are of the one request, and no model sees them. */
const ofOneRequest = new Set([
  "accept",
  "content-type",
  "baggage",
  "traceparent",
  "tracestate",
  "x-amzn-bedrock-accept",
  "x-amzn-bedrock-content-type",
  "x-amzn-bedrock-request-metadata",
  "x-amzn-trace-id",
  "x-request-id",
]);

/** The client's headers that go to the model, or are read as a part of the request. */
function decisiveHeaders(headers: RequestHeaders, filter: HeaderFilter): Record<string, string> | undefined {
  const decisive = headersForUpstream(headers, filter, "relay").filter(([name]) => !ofOneRequest.has(name));
  return decisive.length === 0 ? undefined : Object.fromEntries(decisive);
}
