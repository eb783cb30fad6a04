//! `memcpy` and its like, byte by byte: 100 bytes of flash for all, where those that come with the compiler take over 1,000.
//!
//! Those copy words and are faster for long runs of bytes; a device copies packets. A board takes these in by naming the crate, and the
//! compiler is told to bring none of its own.
#![no_std]
// A loop that copies is a call of `memcpy` to the compiler: here it must stay a loop.
#![no_builtins]
#![expect(
    unsafe_code,
    reason = "functions that the compiler calls by their C names, with pointers"
)]

use core::ffi::c_int;

/// Copies `n` bytes.
///
/// # Safety
/// Both places hold `n` bytes and do not overlap.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    let mut i = 0;
    while i < n {
        // SAFETY: `i` is below `n`.
        unsafe { *to.add(i) = *from.add(i) };
        i += 1;
    }
    to
}

/// Copies `n` bytes.
///
/// # Safety
/// Both places hold `n` bytes.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if (to as usize) < from as usize {
        // SAFETY: as the caller's; from the front, no byte is overwritten before it was copied.
        return unsafe { memcpy(to, from, n) };
    }
    let mut i = n;
    while i > 0 {
        i -= 1;
        // SAFETY: `i` is below `n`; from the end, no byte is overwritten before it was copied.
        unsafe { *to.add(i) = *from.add(i) };
    }
    to
}

/// Fills `n` bytes with the lower eight bits of `byte`.
///
/// # Safety
/// The place holds `n` bytes.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn memset(to: *mut u8, byte: c_int, n: usize) -> *mut u8 {
    let mut i = 0;
    while i < n {
        // SAFETY: `i` is below `n`.
        unsafe { *to.add(i) = byte as u8 };
        i += 1;
    }
    to
}

/// The difference of the first two bytes that differ, or 0.
///
/// # Safety
/// Both places hold `n` bytes.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    let mut i = 0;
    while i < n {
        // SAFETY: `i` is below `n`.
        let (a, b) = unsafe { (*a.add(i), *b.add(i)) };
        if a != b {
            return c_int::from(a) - c_int::from(b);
        }
        i += 1;
    }
    0
}

/// Something else than 0 if bytes differ.
///
/// # Safety
/// Both places hold `n` bytes.
#[cfg_attr(target_os = "none", unsafe(no_mangle))]
pub unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    // SAFETY: as the caller's.
    unsafe { memcmp(a, b, n) }
}

/// The names by which the compiler calls them on ARM, with arguments in an order of their own.
#[cfg(all(target_os = "none", target_arch = "arm"))]
mod aeabi {
    use core::ffi::c_int;

    use super::{memcpy, memmove, memset};

    macro_rules! copies {
        ($($name:ident $function:ident)*) => {
            $(
                /// As the function without prefix.
                ///
                /// # Safety
                /// As there.
                #[unsafe(no_mangle)]
                unsafe extern "C" fn $name(to: *mut u8, from: *const u8, n: usize) {
                    // SAFETY: as the caller's.
                    unsafe { $function(to, from, n) };
                }
            )*
        };
    }

    macro_rules! fills {
        ($($name:ident)*) => {
            $(
                /// As `memset`.
                ///
                /// # Safety
                /// As there.
                #[unsafe(no_mangle)]
                unsafe extern "C" fn $name(to: *mut u8, n: usize, byte: c_int) {
                    // SAFETY: as the caller's.
                    unsafe { memset(to, byte, n) };
                }
            )*
        };
    }

    macro_rules! clears {
        ($($name:ident)*) => {
            $(
                /// As `memset` with 0.
                ///
                /// # Safety
                /// As there.
                #[unsafe(no_mangle)]
                unsafe extern "C" fn $name(to: *mut u8, n: usize) {
                    // SAFETY: as the caller's.
                    unsafe { memset(to, 0, n) };
                }
            )*
        };
    }

    copies! {
        __aeabi_memcpy memcpy __aeabi_memcpy4 memcpy __aeabi_memcpy8 memcpy
        __aeabi_memmove memmove __aeabi_memmove4 memmove __aeabi_memmove8 memmove
    }
    fills! { __aeabi_memset __aeabi_memset4 __aeabi_memset8 }
    clears! { __aeabi_memclr __aeabi_memclr4 __aeabi_memclr8 }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    const BYTES: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    /// Every move within eight bytes, overlapping or not, is that of the standard library.
    #[test]
    fn moves_are_those_of_the_standard_library() {
        for to in 0..8_usize {
            for from in 0..8_usize {
                for n in 0..=8 - to.max(from) {
                    let (mut ours, mut expected) = (BYTES, BYTES);
                    expected.copy_within(from..from + n, to);
                    let start = ours.as_mut_ptr();
                    // SAFETY: both ranges lie in the eight bytes.
                    let returned = unsafe { memmove(start.add(to), start.add(from), n) };
                    assert_eq!(ours, expected, "{n} bytes from {from} to {to}");
                    assert_eq!(returned as usize - start as usize, to);
                }
            }
        }
    }

    #[test]
    fn fills_and_copies_end_where_they_should() {
        for n in 0..=8 {
            let (mut copied, mut filled) = ([0; 8], BYTES);
            // SAFETY: eight bytes each, in different places.
            unsafe {
                memcpy(copied.as_mut_ptr(), BYTES.as_ptr(), n);
                memset(filled.as_mut_ptr(), 0x1ff, n);
            }
            assert_eq!((&copied[..n], &copied[n..]), (&BYTES[..n], &[0; 8][n..]));
            assert_eq!((&filled[..n], &filled[n..]), (&[0xff; 8][..n], &BYTES[n..]));
        }
    }

    #[test]
    fn the_first_difference_counts_as_unsigned() {
        for (a, b, order) in [
            ([1, 2, 0xff], [1, 2, 3], 1),
            ([1, 2, 3], [1, 0x80, 0], -1),
            ([1, 2, 3], [1, 2, 3], 0),
        ] {
            // SAFETY: three bytes each.
            let (compared, equal) = unsafe {
                (
                    memcmp(a.as_ptr(), b.as_ptr(), 3),
                    bcmp(a.as_ptr(), b.as_ptr(), 3),
                )
            };
            assert_eq!(compared.signum(), order);
            assert_eq!(equal == 0, order == 0);
            // SAFETY: as above.
            assert_eq!(unsafe { memcmp(a.as_ptr(), b.as_ptr(), 1) }, 0);
        }
    }
}
