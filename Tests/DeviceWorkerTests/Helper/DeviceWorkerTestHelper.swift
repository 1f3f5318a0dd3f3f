import AndroidMTP
import ApplePhone
import BackupCore
import DeviceWorker
import Glibc
import USBPresence

/// A worker program for tests: the real lanes, a scripted one, and one that sends what it is told.
///
///     device-worker-test-helper presence FAMILY
///     device-worker-test-helper android-mtp BUS ADDRESS VENDOR PRODUCT | apple-phone DEVICE
///     device-worker-test-helper scripted
///     device-worker-test-helper raw HEX | noise HEX
///     device-worker-test-helper leaks HELPER
@main
struct DeviceWorkerTestHelper {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch WorkerCommand(arguments: arguments) {
        case .presence(.android): WorkerMain.serve { USBPhones.detect() }
        case .presence(.iphone):
            WorkerMain.serve { ApplePhones.detect(onBus: USBPhones.iPhones()) }
        case .applePhone(let device):
            WorkerMain.serve { alive throws(DeviceError) in
                try ApplePhoneLane.open(device: device, alive: alive)
            }
        case .androidMTP(let bus, let address, let vendor, let product):
            WorkerMain.serve { alive throws(DeviceError) in
                try LibMTPLane.open(
                    bus: bus, address: address, vendor: vendor, product: product, alive: alive)
            }
        case nil: break
        }
        switch arguments.first {
        case "scripted":
            WorkerMain.serve { alive throws(DeviceError) in ScriptedLane(alive: alive) }
        case "raw" where arguments.count == 2: sendRaw(arguments[1], thenListens: true)
        case "noise" where arguments.count == 2: sendRaw(arguments[1], thenListens: false)
        case "leaks" where arguments.count == 2: exit(await checkLeaks(arguments[1]) ? 10 : 11)
        default: exit(64)
        }
    }

    /// Sends the bytes and then listens until the parent hangs up, as a worker that was taken over.
    private static func sendRaw(_ hex: String, thenListens: Bool) -> Never {
        var bytes: [UInt8] = []
        var digits = hex[...]
        while digits.count >= 2 {
            bytes.append(UInt8(digits.prefix(2), radix: 16) ?? 0)
            digits = digits.dropFirst(2)
        }
        // Sound: the array lends its bytes and count.
        _ = unsafe send(WorkerMain.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        guard thenListens else { exit(0) }
        var scratch = [UInt8](repeating: 0, count: 4096)
        // Sound: as above.
        while unsafe recv(WorkerMain.descriptor, &scratch, scratch.count, 0) > 0 {}
        exit(0)
    }
}
