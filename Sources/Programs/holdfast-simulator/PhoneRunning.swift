import Foundation
import SimulatedPhones

/// SIGINT and SIGTERM, which end a phone. Threads inherit the mask, so this comes before any.
struct EndOfRun {
    private var signals = sigset_t()

    init() {
        // Sound: the calls fill and read this set.
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGINT)
        unsafe sigaddset(&signals, SIGTERM)
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    /// Returns when one of them came.
    func wait() {
        var signals = signals
        var received: Int32 = 0
        // Sound: sigwait reads the set and writes the number into the local variable.
        unsafe sigwait(&signals, &received)
    }
}

/// What a program prints when its phones are ready.
enum Announcement {
    /// One line of JSON, or shell exports: the variables under which programs reach the phones,
    /// and the control socket of each ("control", "control2"...).
    static func print(environment: [String: String], controls: [String], asExports: Bool) {
        var ready = environment
        for (index, control) in controls.enumerated() {
            let number = index == 0 ? "" : String(index + 1)
            let name = asExports ? "HOLDFAST_SIMULATOR_CONTROL" : "control"
            ready[name + number] = control
        }
        if asExports {
            for (key, value) in ready.sorted(by: { $0.key < $1.key }) {
                Swift.print("export \(key)='\(value)'")
            }
        } else {
            Swift.print(PhoneControl.encoded(ready))
        }
        // Whoever waits for the line reads it through a pipe.
        fflush(nil)
    }
}
