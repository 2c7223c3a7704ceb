import { messageOf } from "./answers.ts";
import type { ApiServer } from "./api-server.ts";
import type { KubernetesObject } from "./pods.ts";

/** What the API server says about a new Pod; undefined: it would create it. @throws Error if it does not answer */
export async function refusalOf(server: ApiServer, pod: KubernetesObject): Promise<string | undefined> {
  const answer = await server.dryRun(pod);
  if ("error" in answer) throw new Error(answer.error);
  return answer.status === 201 ? undefined : messageOf(answer.body);
}
