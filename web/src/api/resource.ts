// useResource keeps what a view shows: loaded, loading, refused, or old because
// the last look failed.
import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import { call, type Request } from "./client"
import { ApiError, asError } from "./failure"

export interface Resource<T> {
  data?: T
  error?: ApiError
  loading: boolean
  at: number // when data came, milliseconds; 0: never
  reload: () => void
}

const soon = 5000 // milliseconds after which a server that was away is tried again

// every: milliseconds between looks while the page is seen; 0 looks once, and
// again only after what passes by itself.
export function useResource<T>(request: Request | null, every = 0): Resource<T> {
  const key = request ? JSON.stringify([request.method, request.path, String(request.query ?? ""), request.query, request.body, request.device]) : ""
  const [state, set] = useState<{ key: string; data?: T; error?: ApiError; at: number; loading: boolean }>({ key: "", at: 0, loading: true })
  const [round, again] = useState(0)
  const latest = useRef(request)
  latest.current = request

  useEffect(() => {
    const r = latest.current
    if (!r) return
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async () => {
      set((s) => ({ ...(s.key === key ? s : { key, at: 0 }), loading: true }))
      let wait = every
      try {
        const data = await call<T>({ ...r, signal: stop.signal })
        if (!stop.signal.aborted) set({ key, data, at: Date.now(), loading: false })
      } catch (e) {
        if (stop.signal.aborted) return
        const error = asError(e)
        if (error.passing) wait = every ? Math.min(every, soon) : soon
        if (error.retryAfter) wait = Math.max(every, error.retryAfter * 1000)
        if (error.missing) wait = 0
        set((s) => ({ ...s, error, loading: false }))
      }
      if (wait && !stop.signal.aborted) timer = setTimeout(next, wait)
    }
    const next = () => {
      if (document.hidden) document.addEventListener("visibilitychange", next, { once: true })
      else void look()
    }
    void look()
    return () => {
      stop.abort()
      clearTimeout(timer)
      document.removeEventListener("visibilitychange", next)
    }
  }, [key, every, round])

  const reload = useCallback(() => again((n) => n + 1), [])
  const mine = state.key === key
  return { data: mine ? state.data : undefined, error: mine ? state.error : undefined, at: mine ? state.at : 0, loading: !mine || state.loading, reload }
}
