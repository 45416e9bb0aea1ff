import type { Failure } from "./schema"

// ApiError is a request that did not do what it was for.
export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: there was no answer
    readonly code: string,
    message: string,
    readonly fields: { field: string; message: string }[] = [],
    readonly requestId = "",
    readonly retryAfter = 0, // seconds
  ) {
    super(message)
  }

  // passing says that the same may go well in a moment.
  get passing(): boolean {
    return this.status === 0 || this.status >= 502
  }

  // missing says that this server does not have the operation, as opposed to
  // not having the thing that was asked for.
  get missing(): boolean {
    return this.status === 405 || (this.status === 404 && this.message.includes("nothing at this path"))
  }
}

export async function failureOf(r: Response): Promise<ApiError> {
  const id = r.headers.get("X-Request-Id") ?? ""
  const after = Number(r.headers.get("Retry-After") ?? 0)
  try {
    const f = ((await r.json()) as { error: Failure }).error
    const fields = f.details?.validation_errors ?? (f.field ? [{ field: f.field, message: f.message }] : [])
    return new ApiError(r.status, f.code, f.message, fields, id, after)
  } catch {
    return new ApiError(r.status, "UNKNOWN", `the server answered ${r.status} without saying why`, [], id, after)
  }
}

export function asError(e: unknown): ApiError {
  if (e instanceof ApiError) return e
  const silent = e instanceof DOMException && e.name === "TimeoutError"
  return new ApiError(0, "NETWORK", silent ? "the server does not answer" : "the server cannot be reached")
}
