/** SHA-256 (FIPS 180-4) of bytes that arrive in pieces. WebCrypto can only hash bytes that are all in memory. */

export interface Hash {
  update(bytes: Uint8Array): void
  /** The 32 bytes of the digest. The hash cannot be used after it. */
  digest(): Uint8Array
}

const BLOCK = 64
/** The offset of the length in the last block. */
const LENGTH_AT = 56

/** The first 32 bits of the fractional parts of the square roots of the first 8 primes, and of the cube roots of the first 64. */
const primes = firstPrimes(64)
const INITIAL = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)))
const K = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)))

export function sha256(): Hash {
  const state = INITIAL.slice()
  const schedule = new Int32Array(BLOCK)
  const pending = new Uint8Array(BLOCK)
  const pendingView = new DataView(pending.buffer)
  let pendingBytes = 0
  let total = 0

  return {
    update(bytes) {
      total += bytes.length
      let at = 0
      if (pendingBytes > 0) {
        at = Math.min(BLOCK - pendingBytes, bytes.length)
        pending.set(bytes.subarray(0, at), pendingBytes)
        pendingBytes += at
        if (pendingBytes < BLOCK) return
        compress(state, schedule, pendingView, 0)
        pendingBytes = 0
      }
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      for (; at + BLOCK <= bytes.length; at += BLOCK) compress(state, schedule, view, at)
      pending.set(bytes.subarray(at))
      pendingBytes = bytes.length - at
    },

    digest() {
      pending.fill(0, pendingBytes)
      pending[pendingBytes] = 0x80
      if (pendingBytes >= LENGTH_AT) {
        compress(state, schedule, pendingView, 0)
        pending.fill(0)
      }
      // The length in bits needs more than 32 bits from 512 MiB on.
      pendingView.setUint32(LENGTH_AT, Math.floor(total / 0x2000_0000))
      pendingView.setUint32(LENGTH_AT + 4, (total * 8) % 0x1_0000_0000)
      compress(state, schedule, pendingView, 0)
      const digest = new DataView(new ArrayBuffer(32))
      state.forEach((word, i) => {
        digest.setInt32(4 * i, word)
      })
      return new Uint8Array(digest.buffer)
    },
  }
}

/** Section 6.2.2: one block of 64 bytes at `at`. */
function compress(state: Int32Array, w: Int32Array, view: DataView, at: number): void {
  for (let t = 0; t < 16; t += 1) w[t] = view.getInt32(at + 4 * t)
  for (let t = 16; t < 64; t += 1) {
    const w15 = w[t - 15] as number
    const w2 = w[t - 2] as number
    const s0 = ((w15 >>> 7) | (w15 << 25)) ^ ((w15 >>> 18) | (w15 << 14)) ^ (w15 >>> 3)
    const s1 = ((w2 >>> 17) | (w2 << 15)) ^ ((w2 >>> 19) | (w2 << 13)) ^ (w2 >>> 10)
    w[t] = (s1 + (w[t - 7] as number) + s0 + (w[t - 16] as number)) | 0
  }
  let a = state[0] as number
  let b = state[1] as number
  let c = state[2] as number
  let d = state[3] as number
  let e = state[4] as number
  let f = state[5] as number
  let g = state[6] as number
  let h = state[7] as number
  for (let t = 0; t < 64; t += 1) {
    const S1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const t1 = (h + S1 + ((e & f) ^ (~e & g)) + (K[t] as number) + (w[t] as number)) | 0
    const S0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const t2 = (S0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  state[0] = (state[0] as number) + a
  state[1] = (state[1] as number) + b
  state[2] = (state[2] as number) + c
  state[3] = (state[3] as number) + d
  state[4] = (state[4] as number) + e
  state[5] = (state[5] as number) + f
  state[6] = (state[6] as number) + g
  state[7] = (state[7] as number) + h
}

function firstPrimes(count: number): number[] {
  const found: number[] = []
  for (let n = 2; found.length < count; n += 1) if (found.every((prime) => n % prime !== 0)) found.push(n)
  return found
}

function fraction(root: number): number {
  return ((root - Math.floor(root)) * 0x1_0000_0000) | 0
}
