/** Reads what the families' bodies have in common: inference parameters, and what becomes of the rest. */
import type { InferenceConfig } from "../converse.ts";
import { readStopSequences } from "../converse-reader.ts";
import { defined } from "../defined.ts";
import { refuseField } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { at, type Fields, type Read, readCount, readFraction, readName, readNumber } from "../reading.ts";

/** The family's names for the members of `inferenceConfig`; what it does not have stays out. */
export interface InferenceNames {
  readonly maxTokens: string;
  readonly temperature: string;
  readonly topP: string;
  readonly stop?: string;
  /** The highest temperature the family knows. Converse says 1, but the value is carried as it is. */
  readonly maxTemperature: number;
  /** How the stop sequences are read; as a list, when nothing else is said. */
  readonly readStop?: Read<readonly string[]>;
}

/**
 * Reads the inference parameters among the members of an object.
 *
 * @returns a part of a ConverseRequest, empty when none is set
 */
export function readInference(
  fields: Fields,
  path: string,
  names: InferenceNames,
): { readonly inferenceConfig?: InferenceConfig } {
  const maxTokens = fields[names.maxTokens];
  const temperature = fields[names.temperature];
  const topP = fields[names.topP];
  const stop = names.stop === undefined ? undefined : fields[names.stop];
  const readStop = names.readStop ?? readStopSequences;
  const inferenceConfig: InferenceConfig = defined({
    maxTokens: maxTokens == null ? undefined : readCount(maxTokens, at(path, names.maxTokens)),
    temperature:
      temperature == null ? undefined : readTemperature(temperature, at(path, names.temperature), names.maxTemperature),
    topP: topP == null ? undefined : readFraction(topP, at(path, names.topP)),
    stopSequences: names.stop === undefined || stop == null ? undefined : readStop(stop, at(path, names.stop)),
  });
  return Object.keys(inferenceConfig).length === 0 ? {} : { inferenceConfig };
}

/** One stop sequence, or a list of them. */
export function readStopTextOrList(value: unknown, path: string): readonly string[] {
  return typeof value === "string" ? [readName(value, path)] : readStopSequences(value, path);
}

function readTemperature(value: unknown, path: string, most: number): number {
  const temperature = readNumber(value, path);
  if (temperature < 0 || temperature > most) throw refuseField(path, `must be from 0 to ${most}, not ${temperature}`);
  return temperature;
}

/**
 * Makes the part of a ConverseRequest that carries what Converse has no member for. The dialect that serves the request
 * decides what becomes of it.
 */
export function additionalFields(fields: JsonObject): { readonly additionalModelRequestFields?: JsonObject } {
  return Object.keys(fields).length === 0 ? {} : { additionalModelRequestFields: fields };
}

/** Refuses a number of answers other than 1. */
export function refuseSeveral(value: unknown, path: string): void {
  if (value == null || readCount(value, path) === 1) return;
  throw refuseField(path, "must be 1: a request gets one answer");
}
