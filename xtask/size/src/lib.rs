//! Start code that every measured program shares, and what the programs do.
#![no_std]

pub mod codec;
pub mod session;
pub mod wire;

use core::panic::PanicInfo;

/// Defines the entry point: `start!(f)` calls `f`, which never returns.
#[macro_export]
macro_rules! start {
    ($main:path) => {
        /// Called by the hardware after a reset.
        #[unsafe(no_mangle)]
        pub extern "C" fn reset() -> ! {
            $main()
        }

        /// The vectors that the hardware reads: top of the stack, reset.
        #[unsafe(link_section = ".vectors")]
        #[used]
        static VECTORS: (usize, extern "C" fn() -> !) = (0x2001_0000, reset);
    };
}

/// Tells the size of the session of a profile, as the length of a symbol in a section that is not loaded.
#[macro_export]
macro_rules! facts {
    ($profile:ty) => {
        #[unsafe(no_mangle)]
        #[unsafe(link_section = ".facts")]
        #[used]
        static SESSION_BYTES: [u8; size_of::<$crate::session::Held<$profile>>()] =
            [0; size_of::<$crate::session::Held<$profile>>()];
    };
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop()
}

/// Does nothing for ever.
pub fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
