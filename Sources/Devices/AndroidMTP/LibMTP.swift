import BackupCore
import CLibMTP
import Glibc

/// An object as libmtp lists it, copied.
struct MTPObject: Equatable {
    var handle: UInt32
    var name: [UInt8]?
    var isFolder: Bool
    var byteCount: UInt64
    /// Seconds since 1970: the phone's local text taken as UTC, because workers run with TZ=UTC.
    var modified: Int
}

/// What a libmtp call gave, and the log of how.
struct MTPResult<Value> {
    var value: Value
    var log: TransactionLog
    /// Codes from libmtp's error stack, oldest first.
    var errors: [Int]
}

/// One device opened by libmtp: the only user of the library, whose calls block and print.
///
/// To be used once in a process, on one thread: libmtp's state is global, and what it prints is
/// taken by a stream put in the place of the process's own.
@safe struct LibMTPDevice: ~Copyable {
    // Sound: the pointer is libmtp's from open to release, it never leaves this file, and the
    // struct that owns it cannot be copied.
    private let device: UnsafeMutablePointer<LIBMTP_mtpdevice_t>
    private let printout: Printout

    /// Opens without reading the whole phone ("uncached"). The device list is libusb's; libmtp's
    /// own detection, which opens every device on the bus, is never used.
    init(
        bus: UInt8, address: UInt8, vendor: UInt16, product: UInt16, alive: @escaping () -> Void
    ) throws(DeviceError) {
        let printout = try Printout(alive: alive)
        LIBMTP_Init()
        // Init reads LIBMTP_DEBUG; with it on, opening would make libusb print too.
        LIBMTP_Set_Debug(0)
        // Sound: a C struct of numbers and pointers, all zero.
        var raw = unsafe LIBMTP_raw_device_t()
        unsafe raw.device_entry.vendor_id = vendor
        unsafe raw.device_entry.product_id = product
        unsafe raw.device_entry.device_flags = Self.flags(vendor, product) ?? Quirks.unknownPhone
        unsafe raw.bus_location = UInt32(bus)
        unsafe raw.devnum = address
        // Sound: the call copies the local and returns an owned device or nil.
        guard let opened = unsafe LIBMTP_Open_Raw_Device_Uncached(&raw) else {
            throw OpeningFailure.error(printout.complaints)
        }
        unsafe device = opened
        self.printout = printout
    }

    deinit {
        // Sound: the device was not released before; this runs once.
        unsafe LIBMTP_Release_Device(device)
    }

    /// Ends the session. For Android libmtp then resets the USB device: it goes and comes back.
    consuming func release() {}

    /// The version of the library, for the run report.
    static var version: String { LIBMTP_VERSION_STRING }

    /// What libmtp's table says of this vendor and product; nil when it does not know them.
    private static func flags(_ vendor: UInt16, _ product: UInt16) -> UInt32? {
        var table: UnsafeMutablePointer<LIBMTP_device_entry_t>?
        var count: Int32 = 0
        // Sound: the table is the library's static one, and `count` its length.
        guard unsafe LIBMTP_Get_Supported_Devices_List(&table, &count) == 0,
            let table = unsafe table
        else { return nil }
        for index in 0..<Int(count) {
            let entry = unsafe table[index]
            if unsafe entry.vendor_id == vendor, unsafe entry.product_id == product {
                return unsafe entry.device_flags
            }
        }
        return nil
    }

    /// Whether libmtp's table has this vendor and product.
    static func knows(vendor: UInt16, product: UInt16) -> Bool { flags(vendor, product) != nil }
}

// MARK: - What the device says of itself

extension LibMTPDevice {
    /// Texts of the device's information, read when it was opened.
    enum Text { case manufacturer, model, serial, version }

    func text(_ which: Text) -> [UInt8] {
        // Sound: each call returns an owned C string or nil, freed by `copy`.
        switch which {
        case .manufacturer: unsafe Self.copy(LIBMTP_Get_Manufacturername(device))
        case .model: unsafe Self.copy(LIBMTP_Get_Modelname(device))
        case .serial: unsafe Self.copy(LIBMTP_Get_Serialnumber(device))
        case .version: unsafe Self.copy(LIBMTP_Get_Deviceversion(device))
        }
    }

    /// The name its owner gave it; empty when it has none.
    func friendlyName() -> MTPResult<[UInt8]> {
        // Sound: as above.
        logged { unsafe Self.copy(LIBMTP_Get_Friendlyname(device)) }
    }

    /// Percent, nil when the device does not tell.
    func battery() -> MTPResult<Int?> {
        logged {
            var highest: UInt8 = 0
            var level: UInt8 = 0
            // Sound: two locals that the call fills.
            guard unsafe LIBMTP_Get_Batterylevel(device, &highest, &level) == 0, highest > 0 else {
                return nil
            }
            return min(100, Int(level) * 100 / Int(highest))
        }
    }

    /// Names of the protocol extensions it announces ("android.com", "microsoft.com"…).
    var extensions: [[UInt8]] {
        var names: [[UInt8]] = []
        // Sound: a list that libmtp built at opening and keeps until release, ended by NULL.
        var next = unsafe device.pointee.extensions
        while let item = unsafe next, names.count < 64 {
            names.append(unsafe Self.bytes(item.pointee.name))
            unsafe next = item.pointee.next
        }
        return names
    }

    /// The bytes of a C string, which is freed; empty for nil.
    private static func copy(_ text: UnsafeMutablePointer<CChar>?) -> [UInt8] {
        guard let text = unsafe text else { return [] }
        let copied = unsafe bytes(text)
        unsafe free(text)
        return copied
    }

    /// The bytes of a C string that somebody else owns.
    private static func bytes(_ text: UnsafePointer<CChar>?) -> [UInt8] {
        guard let text = unsafe text else { return [] }
        // Sound: a NUL-terminated string; its length bounds the read.
        return unsafe Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }
}

// MARK: - Storages and listings

extension LibMTPDevice {
    /// Asks for the storages anew. The first transaction is GetStorageIDs (0x1004), the others
    /// GetStorageInfo (0x1005).
    func storages() -> MTPResult<[PhoneStorage]> {
        logged {
            // Sound: the list it builds is libmtp's own, read below before the next call.
            _ = unsafe LIBMTP_Get_Storage(device, LIBMTP_STORAGE_SORTBY_NOTSORTED)
            var found: [PhoneStorage] = []
            var next = unsafe device.pointee.storage
            while let item = unsafe next {
                found.append(unsafe Self.storage(item.pointee))
                unsafe next = item.pointee.next
            }
            return found
        }
    }

    private static func storage(_ item: LIBMTP_devicestorage_t) -> PhoneStorage {
        // Sound: the strings are libmtp's, copied here.
        let description = unsafe bytes(item.StorageDescription)
        let volume = unsafe bytes(item.VolumeIdentifier)
        let name = description.isEmpty ? volume : description
        return unsafe PhoneStorage(
            handle: UInt64(item.id),
            name: EntryName(bytes: name.isEmpty ? Array("Storage".utf8) : name),
            volumeIdentifier: String(decoding: volume.prefix(1024), as: UTF8.self),
            type: item.StorageType, totalBytes: item.MaxCapacity,
            freeBytes: item.FreeSpaceInBytes)
    }

    /// Lists a folder; `nil` is the storage's root. The first transaction is GetObjectHandles
    /// (0x1007), with all its bytes.
    func list(storage: UInt32, folder: UInt32?) -> MTPResult<[MTPObject]> {
        logged(untilSecondRequest: true) {
            // Sound: the call returns an owned list or nil, given back by `takeList`.
            unsafe Self.takeList(
                LIBMTP_Get_Files_And_Folders(
                    device, storage, folder ?? UInt32(LIBMTP_FILES_AND_FOLDERS_ROOT)))
        }
    }

    /// One object's details, nil when the phone does not give them.
    func details(_ handle: UInt32) -> MTPResult<MTPObject?> {
        logged {
            // Sound: as above; the list has one item.
            unsafe Self.takeList(LIBMTP_Get_Filemetadata(device, handle)).first
        }
    }

    /// An object's name as its property ObjectFileName (0xDC07) tells it; empty when it does not.
    func nameProperty(_ handle: UInt32) -> [UInt8] {
        // Sound: returns an owned C string or nil.
        logged {
            unsafe Self.copy(
                LIBMTP_Get_String_From_Object(device, handle, LIBMTP_PROPERTY_ObjectFileName))
        }.value
    }

    private static func name(_ file: LIBMTP_file_t) -> [UInt8]? {
        // Sound: the name is the item's, which the caller still owns.
        unsafe file.filename == nil ? nil : bytes(file.filename)
    }

    private static func takeList(
        _ first: UnsafeMutablePointer<LIBMTP_file_t>?
    ) -> [MTPObject] {
        var objects: [MTPObject] = []
        var next = unsafe first
        while let item = unsafe next {
            // Sound: the item is ours until it is destroyed, after everything was copied.
            let file = unsafe item.pointee
            objects.append(
                unsafe MTPObject(
                    handle: file.item_id, name: name(file),
                    isFolder: file.filetype == LIBMTP_FILETYPE_FOLDER, byteCount: file.filesize,
                    modified: file.modificationdate))
            unsafe next = file.next
            unsafe LIBMTP_destroy_file_t(item)
        }
        return objects
    }
}

// MARK: - Reading

extension LibMTPDevice {
    /// Pushes an object's content; `emit` returns false to cancel. Gives the error stack's codes,
    /// empty when libmtp was content (which says nothing about the number of bytes).
    func read(_ handle: UInt32, emit: (UnsafeRawBufferPointer) -> Bool) -> [Int] {
        takeErrors()
        // Sound: the closure does not outlive the call, see below.
        let status = unsafe withoutActuallyEscaping(emit) { emit in
            let sink = unsafe ReadSink(emit: emit)
            return withExtendedLifetime(sink) {
                // Sound: libmtp calls back during this call only, while `sink` is kept alive.
                unsafe LIBMTP_Get_File_To_Handler(
                    device, handle, takePiece, Unmanaged.passUnretained(sink).toOpaque(), nil, nil)
            }
        }
        let errors = takeErrors()
        return status == 0 ? [] : errors.isEmpty ? [PTPCode.dataExpected] : errors
    }
}

/// Carries the closure through libmtp's context pointer.
@safe private final class ReadSink {
    // Sound: the closure borrows the bytes it is given and keeps none.
    let emit: (UnsafeRawBufferPointer) -> Bool
    init(emit: @escaping (UnsafeRawBufferPointer) -> Bool) { unsafe self.emit = emit }
}

private func takePiece(
    _: UnsafeMutableRawPointer?, _ context: UnsafeMutableRawPointer?, _ count: UInt32,
    _ bytes: UnsafeMutablePointer<UInt8>?, _ taken: UnsafeMutablePointer<UInt32>?
) -> UInt16 {
    guard let context = unsafe context else { return UInt16(LIBMTP_HANDLER_RETURN_ERROR) }
    // Sound: the context is the sink that `read` keeps alive; the bytes are lent for this call.
    let sink = unsafe Unmanaged<ReadSink>.fromOpaque(context).takeUnretainedValue()
    unsafe taken?.pointee = count
    let piece = unsafe UnsafeRawBufferPointer(start: bytes, count: Int(count))
    if unsafe piece.isEmpty || sink.emit(piece) { return UInt16(LIBMTP_HANDLER_RETURN_OK) }
    return UInt16(LIBMTP_HANDLER_RETURN_CANCEL)
}

// MARK: - The log and the error stack

extension LibMTPDevice {
    /// Runs a call with libmtp's log on. With `untilSecondRequest` the packets' bytes are logged
    /// for the first transaction alone: a listing has two or three for each object.
    private func logged<Value>(
        untilSecondRequest: Bool = false, _ body: () -> Value
    ) -> MTPResult<Value> {
        takeErrors()
        printout.begin(dropsDataAfterFirst: untilSecondRequest)
        LIBMTP_Set_Debug(Int32(LIBMTP_DEBUG_USB | LIBMTP_DEBUG_DATA))
        let value = body()
        LIBMTP_Set_Debug(0)
        holdfast_mtp_flush()
        return MTPResult(value: value, log: printout.end(), errors: takeErrors())
    }

    /// Empties the error stack and gives the codes it held: 4 hex digits after
    /// "PTP Layer error ", else libmtp's own number for the kind.
    @discardableResult
    private func takeErrors() -> [Int] {
        var codes: [Int] = []
        // Sound: the stack is libmtp's list until it is cleared below.
        var next = unsafe LIBMTP_Get_Errorstack(device)
        while let item = unsafe next, codes.count < 256 {
            let text = unsafe String(decoding: Self.bytes(item.pointee.error_text), as: UTF8.self)
            if text.hasPrefix("PTP Layer error ") {
                codes.append(Int(text.dropFirst(16).prefix(4), radix: 16) ?? 0)
            } else if !text.hasPrefix("Error ") {
                codes.append(unsafe Int(item.pointee.errornumber.rawValue))
            }
            unsafe next = item.pointee.next
        }
        unsafe LIBMTP_Clear_Errorstack(device)
        return codes
    }
}

/// Takes what libmtp prints.
private final class Printout {
    /// The end of what it complained of on its error stream, as text.
    private(set) var complaints = ""
    private let alive: () -> Void
    private var log = TransactionLog()
    private var partial: [UInt8] = []
    private var dropsDataAfterFirst = false

    /// Puts two streams in the place of stdout and stderr, for the life of the process.
    init(alive: @escaping () -> Void) throws(DeviceError) {
        self.alive = alive
        // Sound: the streams live as long as the process, and so does the reference given here.
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let isDiverted =
            unsafe holdfast_mtp_divert(0, context, takeOutput) == 0
            && holdfast_mtp_divert(1, context, takeComplaint) == 0
        guard isDiverted else {
            throw DeviceError(.workerEnded, "There was no memory to speak with the phone")
        }
    }

    func begin(dropsDataAfterFirst: Bool) {
        log = TransactionLog()
        partial = []
        self.dropsDataAfterFirst = dropsDataAfterFirst
    }

    func end() -> TransactionLog {
        let finished = log
        log = TransactionLog()
        return finished
    }

    /// Takes the stream's next bytes, which may hold several lines or a part of one.
    func take(_ bytes: UnsafeRawBufferPointer) {
        let requests = log.requestCount
        let successes = log.successCount
        for index in 0..<bytes.count {
            // Sound: the index is below the count.
            let byte = unsafe bytes[index]
            if byte == UInt8(ascii: "\n") {
                log.take(partial.span)
                partial.removeAll(keepingCapacity: true)
            } else if partial.count < 512 {
                partial.append(byte)
            }
        }
        if log.successCount > successes { alive() }
        if dropsDataAfterFirst, log.requestCount > max(1, requests) {
            dropsDataAfterFirst = false
            LIBMTP_Set_Debug(Int32(LIBMTP_DEBUG_USB))
        }
    }

    func complain(_ bytes: UnsafeRawBufferPointer) {
        guard complaints.utf8.count < 8192 else { return }
        complaints += unsafe String(decoding: bytes, as: UTF8.self)
    }
}

private func takeOutput(
    _ context: UnsafeMutableRawPointer?, _ bytes: UnsafePointer<CChar>?, _ count: Int
) -> Int {
    guard let context = unsafe context else { return count }
    // Sound: the context is the printout that lives as long as the process; the bytes are lent.
    let printout = unsafe Unmanaged<Printout>.fromOpaque(context).takeUnretainedValue()
    unsafe printout.take(UnsafeRawBufferPointer(start: bytes, count: count))
    return count
}

private func takeComplaint(
    _ context: UnsafeMutableRawPointer?, _ bytes: UnsafePointer<CChar>?, _ count: Int
) -> Int {
    guard let context = unsafe context else { return count }
    // Sound: as above.
    let printout = unsafe Unmanaged<Printout>.fromOpaque(context).takeUnretainedValue()
    unsafe printout.complain(UnsafeRawBufferPointer(start: bytes, count: count))
    return count
}
