/** Whether this device is mainly used with a finger. */
export const isTouch = matchMedia('(pointer: coarse)').matches
