package import BackupCore
import Glibc

/// A worker process: one lane, served on descriptor 3 until the parent hangs up.
///
/// A program calls one of these from its hidden subcommand and never comes back. Standard input,
/// output and errors are /dev/null then; nothing is logged here, errors travel to the parent.
package enum WorkerMain {
    /// The descriptor that the parent leaves open (see `holdfast_spawn_worker`).
    package static let descriptor: Int32 = 3

    /// Opens a lane and serves it. `open` is given a function to call after each valid answer of
    /// the phone during a long call, so that the parent knows that it lives.
    package static func serve<Lane: DeviceLane & ~Copyable>(
        open: (_ alive: @escaping () -> Void) throws(DeviceError) -> Lane
    ) -> Never {
        let channel = WorkerChannel(descriptor: descriptor)
        confineWorker(watching: descriptor)
        channel.greet()
        do throws(DeviceError) {
            var lane = try open { channel.reportLife() }
            channel.send(.ready, 0)
            WorkerServer(channel: channel).serve(&lane)
            lane.close()
        } catch {
            channel.send(error, 0)
        }
        exit(0)
    }

    /// Answers with the phones on the bus and ends.
    package static func serve(phones: () throws(DeviceError) -> [DetectedPhone]) -> Never {
        let channel = WorkerChannel(descriptor: descriptor)
        confineWorker(watching: descriptor)
        channel.greet()
        do throws(DeviceError) {
            let found = try phones().prefix(WireLimit.phones)
            var body = WireWriter()
            body.unsigned16(UInt16(found.count))
            for phone in found { body.phone(phone) }
            channel.send(.phones, 0, body.bytes)
        } catch {
            channel.send(error, 0)
        }
        exit(0)
    }
}

/// Answers the parent's requests from a lane, one after the other.
struct WorkerServer {
    let channel: WorkerChannel

    /// Serves until the parent says `close`.
    func serve<Lane: DeviceLane & ~Copyable>(_ lane: inout Lane) {
        while !channel.isClosing {
            let frame = channel.receive()
            channel.current = frame.request
            do throws(DeviceError) {
                try answer(frame, &lane)
            } catch {
                channel.send(error, frame.request)
            }
        }
    }

    private func answer<Lane: DeviceLane & ~Copyable>(
        _ frame: Frame, _ lane: inout Lane
    ) throws(DeviceError) {
        var reader = WireReader(frame.body)
        switch frame.kind {
        case .askAttributes:
            var body = WireWriter()
            body.attributes(try lane.attributes())
            channel.send(.attributes, frame.request, body.bytes)
        case .askStorages:
            let storages = try lane.storages().prefix(WireLimit.storages)
            var body = WireWriter()
            body.unsigned16(UInt16(storages.count))
            for storage in storages { body.storage(storage) }
            channel.send(.storages, frame.request, body.bytes)
        case .askList:
            let folder = try reader.folder()
            let limit = Int(try reader.unsigned32())
            send(try lane.list(folder, limit: limit), frame.request)
        case .askRead:
            let storage = try reader.unsigned64()
            try read(try reader.entry(storage: storage), frame.request, &lane)
        case .askOnlyInCloud:
            var body = WireWriter()
            body.optional(try lane.onlyInCloud()) { writer, count in writer.unsigned64(count) }
            channel.send(.onlyInCloud, frame.request, body.bytes)
        case .askDrive:
            let tree = WorkerTree(channel: channel, request: frame.request)
            try lane.drive(try reader.job(), over: tree)
            do throws(CaptureTreeError) { try tree.flush() } catch { throw error.deviceError }
            channel.send(.finished, frame.request)
        case .close: channel.isClosing = true
        // A `cancel` here came after the end of what it meant.
        default: break
        }
    }

    /// Sends a listing in frames of some hundred kilobytes.
    private func send(_ listing: FolderListing, _ request: UInt32) {
        var body = WireWriter()
        for entry in listing.entries {
            body.entry(entry)
            if body.bytes.count >= 256 << 10 {
                channel.send(.entries, request, body.bytes)
                body = WireWriter()
            }
        }
        if !body.bytes.isEmpty { channel.send(.entries, request, body.bytes) }
        var end = WireWriter()
        end.unsigned32(UInt32(clamping: listing.entries.count))
        end.unsigned32(UInt32(clamping: listing.undescribedCount))
        channel.send(.listed, request, end.bytes)
    }

    private func read<Lane: DeviceLane & ~Copyable>(
        _ entry: PhoneEntry, _ request: UInt32, _ lane: inout Lane
    ) throws(DeviceError) {
        var gathered: [UInt8] = []
        gathered.reserveCapacity(WorkerChannel.gathered + (64 << 10))
        try unsafe lane.read(entry) { bytes in
            // Pieces of libmtp's 16 KiB are put together: a frame costs a system call and, in the
            // parent, a change of threads.
            unsafe gathered.append(contentsOf: bytes)
            guard gathered.count >= WorkerChannel.gathered else { return true }
            channel.sendPieces(&gathered, request)
            return !channel.isToldToStop(request)
        }
        channel.sendPieces(&gathered, request)
        channel.send(.finished, request)
    }
}
