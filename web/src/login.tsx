import { useEffect, useState } from "preact/hooks"
import { asError, type ApiError } from "./api/failure"
import { login } from "./session"
import { Button } from "./ui/button"
import { errorsOf, TextField } from "./ui/field"
import { Icon } from "./ui/icon"

export function Login() {
  const [email, setEmail] = useState("")
  const [password, setPassword] = useState("")
  const [error, setError] = useState<ApiError>()
  const [busy, setBusy] = useState(false)
  useEffect(() => {
    document.title = "Log in · ngfw.sh"
  }, [])

  const submit = async (e: Event) => {
    e.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      await login(email, password)
    } catch (e) {
      setError(asError(e))
      setBusy(false)
    }
  }
  const errors = errorsOf(error)
  return (
    <main class="login">
      <form onSubmit={submit} class="card">
        <div class="brand">
          <Icon name="rules" size={28} />
          <h1>ngfw.sh</h1>
        </div>
        <TextField label="E-mail address" name="email" type="email" value={email} onInput={setEmail} autocomplete="username" autofocus errors={errors} required />
        <TextField label="Password" name="password" type="password" value={password} onInput={setPassword} autocomplete="current-password" errors={errors} required />
        {error && !error.fields.length && (
          <p class="field-error" role="alert">
            {error.message}
            {error.retryAfter ? `; try again in ${error.retryAfter} s` : ""}
          </p>
        )}
        <Button type="submit" kind="primary" busy={busy}>
          {busy ? "Logging in" : "Log in"}
        </Button>
        <p class="muted small">
          The first start of the cloud writes the owner's address and password into <code>bootstrap.json</code> in its data directory.
        </p>
      </form>
    </main>
  )
}
