// Ring keeps the newest rows up to a bound. Position 0 is the newest.
export class Ring<T> {
  private slots: T[] = []
  private next = 0
  total = 0 // added since it was empty

  constructor(readonly most: number) {}

  get size(): number {
    return this.slots.length
  }

  push(row: T) {
    this.slots[this.next] = row
    this.next = (this.next + 1) % this.most
    this.total++
  }

  at(i: number): T {
    const n = this.slots.length
    return this.slots[(this.next - 1 - i + 2 * n) % n]
  }

  clear() {
    this.slots = []
    this.next = 0
    this.total = 0
  }

  // copy is a ring that stays as it is now.
  copy(): Ring<T> {
    const c = new Ring<T>(this.most)
    c.slots = this.slots.slice()
    c.next = this.next
    c.total = this.total
    return c
  }
}
