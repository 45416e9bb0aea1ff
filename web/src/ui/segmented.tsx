interface Props<T extends string> {
  label: string
  options: { value: T; text: string }[]
  value: T
  onChange: (value: T) => void
}

// Segmented is a choice of one of few, all seen: radio buttons, so that arrow
// keys move it.
export function Segmented<T extends string>({ label, options, value, onChange }: Props<T>) {
  return (
    <fieldset class="segmented">
      <legend class="hidden">{label}</legend>
      {options.map((o) => (
        <label key={o.value} class={o.value === value ? "on" : ""}>
          <input type="radio" name={label} value={o.value} checked={o.value === value} onChange={() => onChange(o.value)} />
          {o.text}
        </label>
      ))}
    </fieldset>
  )
}
