@main enum TLLog { static func main() {} }
