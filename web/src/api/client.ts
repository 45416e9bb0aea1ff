// One way to the API: every request has the session's token, is tried once more
// with a new one, and fails as an ApiError, also where no answer comes.
import { patience, token } from "../session"
import { asError, failureOf } from "./failure"

export type Query = URLSearchParams | Record<string, string | number | undefined | null>

export interface Request {
  method?: string
  path: string
  query?: Query
  body?: unknown
  device?: string
  signal?: AbortSignal
}

export function address(path: string, query?: Query): string {
  if (!query) return path
  const q = query instanceof URLSearchParams ? query : new URLSearchParams()
  if (!(query instanceof URLSearchParams)) {
    for (const [k, v] of Object.entries(query)) if (v !== undefined && v !== null && v !== "") q.set(k, String(v))
  }
  const text = q.toString()
  return text ? `${path}?${text}` : path
}

async function send(r: Request, bearer: string): Promise<Response> {
  const headers: Record<string, string> = { Authorization: `Bearer ${bearer}`, Accept: "application/json" }
  if (r.body !== undefined) headers["Content-Type"] = "application/json"
  if (r.device) headers["X-Device-ID"] = r.device
  try {
    return await fetch(address(r.path, r.query), {
      method: r.method ?? "GET",
      headers,
      body: r.body === undefined ? undefined : JSON.stringify(r.body),
      signal: r.signal ? AbortSignal.any([r.signal, AbortSignal.timeout(patience)]) : AbortSignal.timeout(patience),
      credentials: "omit",
    })
  } catch (e) {
    if (r.signal?.aborted) throw e
    throw asError(e)
  }
}

// A POST that failed for want of a token was not done, so that it may be tried
// again, too.
export async function answer(r: Request): Promise<Response> {
  const first = await token()
  let res = await send(r, first)
  if (res.status === 401) res = await send(r, await token(first))
  if (!res.ok) throw await failureOf(res)
  return res
}

export async function call<T>(r: Request): Promise<T> {
  const res = await answer(r)
  return (res.status === 204 ? undefined : await res.json()) as T
}

// curl is the command that asks the same. The token is the reader's own, out of
// the environment; nothing secret is copied.
export function curl(r: Request): string {
  const quote = (s: string) => `'${s.replaceAll("'", `'\\''`)}'`
  const parts = ["curl -sS", `-H "Authorization: Bearer $NGFW_TOKEN"`]
  if (r.method && r.method !== "GET" && !(r.method === "POST" && r.body !== undefined)) parts.push(`-X ${r.method}`)
  if (r.device) parts.push(`-H ${quote(`X-Device-ID: ${r.device}`)}`)
  if (r.body !== undefined) parts.push(`-H 'Content-Type: application/json'`, `-d ${quote(JSON.stringify(r.body))}`)
  parts.push(quote(location.origin + address(r.path, r.query)))
  return parts.join(" ")
}
