// The session: the access token lives in this page's memory alone, the refresh
// token in a cookie that no script can read. Pages of one browser refresh one
// after the other.
import { useEffect, useState } from "preact/hooks"
import { ApiError, failureOf } from "./api/failure"
import type { Profile, TokenResponse } from "./api/schema"

export type Standing = "unknown" | "out" | "in"

export const patience = 30_000 // milliseconds that a request may take

let standing: Standing = "unknown"
let access = ""
let until = 0 // when the access token ends, by this machine's clock
let refreshing: Promise<string> | null = null
const listeners = new Set<() => void>()
const others = new BroadcastChannel("ngfw")
const hint = "ngfw.session" // that there is a cookie: holds nothing of it

function stand(next: Standing) {
  if (next === "in") localStorage.setItem(hint, "1")
  if (next === "out") {
    access = ""
    localStorage.removeItem(hint)
  }
  standing = next
  for (const l of listeners) l()
}

others.onmessage = (e) => {
  if (e.data === "out") stand("out")
}

async function auth(what: string, body: object): Promise<Response> {
  return fetch(`/api/auth/${what}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(patience) })
}

async function take(r: Response) {
  if (!r.ok) throw await failureOf(r)
  const t = (await r.json()) as TokenResponse
  access = t.access_token
  until = Date.now() + t.expires_in * 1000
}

export async function login(email: string, password: string) {
  await take(await auth("login", { email, password, cookie: true }))
  stand("in")
}

export async function logout() {
  try {
    await auth("logout", {})
  } finally {
    others.postMessage("out")
    stand("out")
  }
}

// resume finds out at the start whether there is a session.
export async function resume() {
  if (!localStorage.getItem(hint)) return stand("out")
  try {
    await refresh()
    stand("in")
  } catch (e) {
    if (!(e instanceof ApiError) || e.status !== 401) throw e
  }
}

async function exchange(): Promise<string> {
  const r = await auth("refresh", {})
  if (r.status === 401 || r.status === 400 || r.status === 403) {
    stand("out")
    throw new ApiError(401, "UNAUTHORIZED", "the session has ended")
  }
  await take(r)
  return access
}

function refresh(): Promise<string> {
  if (refreshing) return refreshing
  const one = async () => (navigator.locks ? await navigator.locks.request("ngfw-refresh", exchange) : await exchange())
  refreshing = one().finally(() => (refreshing = null))
  return refreshing
}

// token is one that is good for a while. stale is one that was refused.
export async function token(stale = ""): Promise<string> {
  if (access && access !== stale && Date.now() < until - 30_000) return access
  return refresh()
}

export function useStanding(): Standing {
  const [s, set] = useState(standing)
  useEffect(() => {
    const changed = () => set(standing)
    listeners.add(changed)
    changed()
    return () => void listeners.delete(changed)
  }, [])
  return s
}

export type { Profile }
